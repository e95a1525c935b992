"""What is computed of one tree alone as the values of its leaves, and trees that take columns.

skl2onnx writes an IsolationForest as trees that give the numbers of their leaves, and some twenty
steps for each tree that look up how deep the leaf lies and how many samples it had.

1. Trees whose rows are columns of a float32 matrix, taken by Gather or ArrayFeatureExtractor with
   constant indices, read that matrix itself.
2. Where steps that treat each row by itself, with nothing else but constant numbers, make one
   float32 column of the sums of one tree, the leaves get what that column is for them.
3. Steps that nothing reads any more go.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from snapq.classical.ensemble import Ensemble
from snapq.classical.estimator import Estimator
from snapq.classical.program.registry import compute
from snapq.classical.program.step import Array, Step
from snapq.classical.reading.columns import Item, needed
from snapq.classical.reading.reader import CANNOT_BE_COMPUTED
from snapq.operators import Trait, having

_FLOAT32 = 1
_BY_ROW = frozenset((*having(Trait.ELEMENTWISE), "LabelEncoder", "Reshape"))
"""Steps that give each row of a column what is made of that row, if all else are single numbers."""


def merge_leaves(
    items: Sequence[Item], samples: Mapping[str, Array], outputs: Sequence[str]
) -> list[Item]:
    """The same items with trees that take columns, and give what is computed of their leaves.

    Args:
        items: in the order in which they run.
        samples: every value for a few rows: types and widths.
        outputs: values that must stay.
    """
    maker = {name: item for item in items if isinstance(item, Step) for name in item.outputs}
    readers = _Readers(items, outputs)
    changed: list[Item] = []
    for item in items:
        if isinstance(item, Estimator) and isinstance(item.form, Ensemble):
            changed += _with_values(_of_columns(item, item.form, maker, samples), readers)
        else:
            changed.append(item)
    made: set[str] = set()
    kept = []
    for item in changed:  # what a tree gives now is not computed again
        names = {item.sums} if isinstance(item, Estimator) else set(item.outputs)
        if not names <= made:
            kept.append(item)
        made |= names
    return needed(kept, outputs)


def _of_columns(
    estimator: Estimator, form: Ensemble, maker: Mapping[str, Step], samples: Mapping[str, Array]
) -> Estimator:
    """Trees that read the matrix of which their rows are columns."""
    features, rows = form.conditions.features, estimator.rows
    while (step := maker.get(rows)) is not None:
        source = samples.get(step.inputs[0]) if step.inputs else None
        taken = _taken(step, maker)
        if taken is None or source is None or source.dtype != np.float32 or source.ndim != 2:
            break
        features, rows = (taken % source.shape[1])[features].astype(np.int32), step.inputs[0]
    if rows == estimator.rows:
        return estimator
    conditions = replace(form.conditions, features=features)
    changed = replace(form, conditions=conditions, features=samples[rows].shape[1])
    return replace(estimator, form=changed, rows=rows)


def _taken(step: Step, maker: Mapping[str, Step]) -> NDArray[np.int64] | None:
    """The columns that a step takes; None where it does something else."""
    columns = step.op == "Gather" and step.attributes.get("axis") in (1, -1)
    if not columns and step.op != "ArrayFeatureExtractor":
        return None
    indices = maker.get(step.inputs[1])
    if indices is None or indices.op != "Constant":
        return None
    value = indices.arrays["value"]
    return value.reshape(-1).astype(np.int64) if value.ndim == 1 or not columns else None


class _Readers:
    """Who reads what."""

    def __init__(self, items: Sequence[Item], outputs: Sequence[str]) -> None:
        self.items = items
        self.outputs = frozenset(outputs)
        self.numbers: dict[str, Array] = {}
        self.of: dict[str, list[int]] = {}
        for place, item in enumerate(items):
            if isinstance(item, Step) and item.op == "Constant":
                self.numbers[item.outputs[0]] = item.arrays["value"]
            for name in (item.rows,) if isinstance(item, Estimator) else item.inputs:
                self.of.setdefault(name, []).append(place)


def _with_values(estimator: Estimator, readers: _Readers) -> Iterator[Item]:
    """One tree whose leaves have what is computed of them, and the step that gives it its name."""
    form = estimator.form
    found = None
    if isinstance(form, Ensemble) and len(form.roots) == 1 and form.targets == 1:
        found = _column(estimator.sums, form.values[form.leaves], readers)
    if found is None or not isinstance(form, Ensemble):
        yield estimator
        return
    name, column = found
    values = np.zeros_like(form.values)
    values[form.leaves] = column
    yield replace(estimator, form=replace(form, values=values))
    yield Step("Cast", (estimator.sums,), (name,), {"to": _FLOAT32})


def _column(
    sums: str, leaves: NDArray[np.float64], readers: _Readers
) -> tuple[str, NDArray[np.float32]] | None:
    """The only value that others read of what is made of a tree's sums, for each of its leaves.

    Args:
        sums: name of the sums.
        leaves: what they are at each leaf, float64 [leaves, 1].
        readers: of all values.

    Returns:
        Its name, and float32 [leaves, 1]; None where there are several, or nothing is gained.
    """
    values: dict[str, Array] = {sums: leaves}
    read: set[str] = set()
    work = False
    waiting = list(readers.of.get(sums, ()))
    heapq.heapify(waiting)
    done = -1
    while waiting:
        place = heapq.heappop(waiting)
        if place == done:
            continue
        done, item = place, readers.items[place]
        made = _by_row(item, values, readers.numbers) if isinstance(item, Step) else None
        if made is None or isinstance(item, Estimator):
            read.update((item.rows,) if isinstance(item, Estimator) else item.inputs)
            continue
        values[item.outputs[0]] = made
        work = work or item.op not in ("Cast", "Identity", "Reshape")
        for reader in readers.of.get(item.outputs[0], ()):
            heapq.heappush(waiting, reader)
    wanted = [name for name in values if name in read or name in readers.outputs]
    if not work or len(wanted) != 1:
        return None
    column = values[wanted[0]]
    plain = column.dtype == np.float32 and column.ndim == 2 and bool(np.isfinite(column).all())
    return (wanted[0], column) if plain else None


def _by_row(step: Step, values: Mapping[str, Array], numbers: Mapping[str, Array]) -> Array | None:
    """What a step makes of each leaf; None where it needs more than that leaf."""
    if step.op not in _BY_ROW or len(step.outputs) != 1:
        return None
    given: list[Array | None] = []
    for place, name in enumerate(step.inputs):
        shape = step.op == "Reshape" and place == 1
        array = values.get(name, numbers.get(name))
        if array is None or (name not in values and array.size != 1 and not shape):
            return None
        given.append(array)
    try:
        with np.errstate(all="ignore"):
            (made, *_) = compute(step, given)
    except CANNOT_BE_COMPUTED:
        return None
    count = len(next(iter(values.values())))
    if made is None or made.ndim not in (1, 2) or made.shape[0] != count or made.size != count:
        return None
    return made
