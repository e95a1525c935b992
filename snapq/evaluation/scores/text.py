"""Error rates of models that read text or speech."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from snapq.errors import DataError
from snapq.evaluation.samples import Array, Label, Text
from snapq.evaluation.scores.base import Outputs, only


class ErrorRate:
    """Edits from the output to the label over the label's length, over all samples.

    Edits are insertions, deletions and substitutions (Levenshtein 1966). The output is scores
    [1, steps, classes], whose best class at each step is read as CTC does (repetitions count once,
    blanks not at all; Graves et al. 2006), or class numbers of integer type [1, steps], as they
    are. Classes are those of the label's alphabet. It can be above 1.
    """

    def __init__(self, name: str, units: Callable[[str], Sequence[str]]) -> None:
        self.name = name
        self.samples = 0
        self._units = units
        self._edits = self._length = 0

    def update(self, outputs: Outputs, label: Label | None, name: str | None = None) -> None:
        """Adds one sample with its text."""
        if not isinstance(label, Text):
            raise DataError(
                f"{self.name} needs a text, and the label is "
                + ("missing." if label is None else f"of type {type(label).__name__}."),
                where=name,
                hint="Give `labels: FILE.csv` with the columns `file,text`, and `alphabet: FILE` "
                "with a character a line.",
            )
        what = "scores [1, steps, classes] or class numbers [1, steps]"
        output = only(outputs, _is_sequence, self.name, what)
        wanted = self._units(label.text)
        self._edits += distance(self._units(read(output, label, self.name, name)), wanted)
        self._length += len(wanted)
        self.samples += 1

    def value(self) -> float:
        """The rate. Raises `DataError` where no label has any text."""
        if self._length == 0:
            raise DataError(
                "No label has any text." if self.samples else "There are no samples.",
                where=self.name,
                hint="Check the labels.",
            )
        return self._edits / self._length


def read(output: Array, label: Text, metric: str, where: str | None) -> str:
    """The text that an output says.

    Raises:
        DataError: it has classes that the alphabet has not.
    """
    symbols, blank = label.alphabet.symbols, label.alphabet.blank
    if output.dtype.kind == "f":
        scores = output.reshape(output.shape[-2:])
        if scores.shape[1] != len(symbols):
            raise DataError(
                f"{metric}: the output {list(output.shape)} has {scores.shape[1]} classes, and "
                f"the alphabet has {len(symbols)} with the blank.",
                where=where,
                hint="Give a line for each class but the blank, in their order; a line `<blank>` "
                "stands where the blank is not class 0.",
            )
        best = scores.argmax(1)
        best = best[np.append(True, best[1:] != best[:-1])]
    else:
        best = output.reshape(-1)
        if best.size and not 0 <= int(best.min()) <= int(best.max()) < len(symbols):
            raise DataError(
                f"{metric}: the output has class {int(best.max())}, and the alphabet has "
                f"{len(symbols)} with the blank.",
                where=where,
                hint="Give a line for each class but the blank, in their order.",
            )
    return "".join(symbols[int(index)] for index in best if int(index) != blank)


def distance(found: Sequence[str], wanted: Sequence[str]) -> int:
    """The least number of insertions, deletions and substitutions."""
    row = np.arange(len(wanted) + 1)
    kinds = {unit: index for index, unit in enumerate(dict.fromkeys((*found, *wanted)))}
    target = np.array([kinds[unit] for unit in wanted], np.int64)
    places = np.arange(len(wanted) + 1)
    for number, unit in enumerate(found, start=1):
        changed = row[:-1] + (target != kinds[unit])
        best = np.append(number, np.minimum(changed, row[1:] + 1))
        row = np.minimum.accumulate(best - places) + places  # an insertion costs a place
    return int(row[-1])


def _is_sequence(output: Array) -> bool:
    if output.dtype.kind in "iu":
        return output.ndim in (1, 2) and output.size == output.shape[-1]
    return output.dtype.kind == "f" and output.ndim in (2, 3) and 0 not in output.shape[-2:]
