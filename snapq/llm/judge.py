"""How near a quantized pair is to the float one: teacher-forced on a text, window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.llm.cache import LOGITS
from snapq.llm.graph.decoder import LAST_ROW
from snapq.llm.speaker import Speaker, State, windows
from snapq.llm.texts import passages

__all__ = ["Judged", "all_rows", "judge", "passages", "row_logits"]

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Judged:
    """What was found on a text, each token told what truly stands before it.

    Attributes:
        tokens: that were predicted.
        float_perplexity: of the float pair: how many tokens it wavers between, on average.
        perplexity: of the quantized pair.
        agreement: share of the tokens for which both find the same one likeliest.
        sqnr_db: of the logits, those of a token together.
    """

    tokens: int
    float_perplexity: float
    perplexity: float
    agreement: float
    sqnr_db: float

    @property
    def ratio(self) -> float:
        """The perplexity over that of float."""
        return self.perplexity / self.float_perplexity


def all_rows(model: ir.Model) -> ir.Model:
    """A copy of a prefill graph that gives logits behind each row, `[1, rows, vocabulary]`."""
    copy = model.clone()
    graph = copy.graph
    last = next((node for node in graph if node.name == LAST_ROW), None)
    if last is None:  # a graph of one row
        return copy
    given = last.inputs[0]
    assert given is not None
    assert given.shape is not None
    rows = int(given.shape.numpy()[1])
    behind = [last.outputs[0]]
    for value in behind:
        for node, _ in value.uses():
            behind += [output for output in node.outputs if output not in behind]
    for value in behind:
        if value.shape is not None:
            value.shape = ir.Shape([1, rows, *value.shape.numpy()[2:]])
    last.outputs[0].replace_all_uses_with(given)
    graph.remove(last, safe=True)
    return copy


def row_logits(speaker: Speaker, text: Sequence[int], rows: int) -> Iterator[Floats]:
    """Logits `[tokens, vocabulary]` behind the tokens of each window, by a graph of all rows."""
    state: State = speaker.start()
    for part in windows(text, rows):
        _, outputs, state = speaker.window(state, part)
        yield np.asarray(outputs[LOGITS][0, -len(part) :], np.float32)


def judge(reference: Speaker, given: Speaker, texts: Sequence[Sequence[int]], rows: int) -> Judged:
    """Compares two pairs, whose prefill graphs give all rows, on passages."""
    losses: list[tuple[float, float]] = []
    same = 0
    signal = noise = 0.0
    for text in texts:
        done = 0
        pairs = zip(row_logits(reference, text, rows), row_logits(given, text, rows), strict=True)
        for wanted, found in pairs:
            following = text[done + 1 : done + 1 + len(wanted)]
            done += len(wanted)
            for token, want, have in zip(following, wanted, found, strict=False):
                losses.append((_loss(want, token), _loss(have, token)))
                same += int(np.argmax(want)) == int(np.argmax(have))
                signal += float(np.square(want.astype(np.float64)).sum())
                noise += float(np.square(want.astype(np.float64) - have).sum())
    means = np.mean(np.asarray(losses), axis=0)
    sqnr = 10 * np.log10(signal / noise) if noise > 0 else np.inf
    perplexities = np.exp(means)
    return Judged(
        len(losses),
        float(perplexities[0]),
        float(perplexities[1]),
        same / len(losses),
        float(sqnr),
    )


def _loss(logits: Floats, token: int) -> float:
    """Minus the logarithm of the probability of a token."""
    wide = logits.astype(np.float64)
    wide -= wide.max()
    return float(np.log(np.exp(wide).sum()) - wide[token])
