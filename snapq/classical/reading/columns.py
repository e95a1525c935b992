"""Sums and differences of columns as one step, where a converter writes one for each column.

skl2onnx makes the scores of an SVC of ten classes by some 300 steps that take one column, turn its
sign, or add a few: half a millisecond of NumPy, and as much in ONNX Runtime.

1. A float32 matrix whose columns are sums, with signs, of equally many columns of one float32
   matrix and a number becomes `add_columns`, if that makes four steps or more superfluous.
2. Such a matrix is made by ArrayFeatureExtractor with constant indices, Neg, Add (also of a
   constant number), Sub, Sum, Concat along the columns, Identity, and Cast to float32.
3. Steps that nothing reads any more go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from snapq.classical.estimator import Estimator
from snapq.classical.program.step import Array, Step

_FLOAT32 = 1
_WORTH = 4
"""Steps that go for one that comes."""
_MOST_TERMS = 1 << 16
"""Of one matrix: what is larger is left as it is."""

Term = tuple[int, int]
"""Index of a column, and 1 or -1."""
Item = Step | Estimator


@dataclass(frozen=True)
class _Sums:
    """A matrix whose columns are sums of columns of another one."""

    source: str
    columns: tuple[tuple[Term, ...], ...]
    added: tuple[float, ...]
    steps: frozenset[int] = field(default=frozenset())

    @property
    def terms(self) -> int:
        return sum(map(len, self.columns))


def merge_columns(
    items: Sequence[Item], samples: Mapping[str, Array], outputs: Sequence[str]
) -> list[Item]:
    """The same items with sums of columns merged.

    Args:
        items: in the order in which they run.
        samples: every value for a few rows: types and widths.
        outputs: values that must stay.
    """
    known: dict[str, _Sums] = {}
    wanted = set(outputs)
    fixed = {
        item.outputs[0]: item.arrays["value"]
        for item in items
        if isinstance(item, Step) and item.op == "Constant"
    }
    for item in items:
        found = _sums_of(item, known, samples, fixed) if isinstance(item, Step) else None
        if found is None:
            wanted.update([item.rows] if isinstance(item, Estimator) else item.inputs)
        elif isinstance(item, Step):
            known[item.outputs[0]] = found
    merged = {
        name: _step(name, known[name], samples[known[name].source].shape[1])
        for name in wanted
        if name in known
    }
    changed: list[Item] = []
    for item in items:
        step = merged.get(item.outputs[0]) if isinstance(item, Step) else None
        changed.append(item if step is None else step)
    if all(step is None for step in merged.values()):
        return list(items)
    return needed(changed, outputs)


def _sums_of(
    step: Step, known: Mapping[str, _Sums], samples: Mapping[str, Array], fixed: Mapping[str, Array]
) -> _Sums | None:
    """The columns that a step makes as sums; None where it does something else."""
    if not step.outputs or not _is_matrix(samples.get(step.outputs[0])):
        return None
    if step.op == "ArrayFeatureExtractor":
        whole = _given(step.inputs[0], known, samples)
        if whole is None or step.inputs[1] not in fixed:
            return None
        chosen = fixed[step.inputs[1]].reshape(-1).tolist()
        columns = [whole.columns[index] for index in chosen]
        return _made(step, [whole], columns, [whole.added[index] for index in chosen])
    if step.op == "Add" and (number := _number(step, fixed)) is not None:
        value, name = number
        whole = _given(name, known, samples)
        if whole is None:
            return None
        return _made(step, [whole], whole.columns, [added + value for added in whole.added])
    parts = [_given(name, known, samples) for name in step.inputs]
    given = [part for part in parts if part is not None]
    if not given or len(given) != len(parts) or len({part.source for part in given}) != 1:
        return None
    if step.op == "Concat" and step.attributes.get("axis") in (1, -1):
        columns = [column for part in given for column in part.columns]
        return _made(step, given, columns, [added for part in given for added in part.added])
    signs = _signs(step)
    if signs is None or len({len(part.columns) for part in given}) != 1:
        return None  # something else, or one column is added to several
    return _made(
        step,
        given,
        [
            tuple((at, s * own) for column, s in zip(row, signs, strict=True) for at, own in column)
            for row in zip(*(part.columns for part in given), strict=True)
        ],
        [
            sum(s * added for added, s in zip(row, signs, strict=True))
            for row in zip(*(part.added for part in given), strict=True)
        ],
    )


def _signs(step: Step) -> tuple[int, ...] | None:
    """With which signs a step adds its inputs; None where it does not."""
    if step.op == "Cast":
        return (1,) if step.attributes.get("to") == _FLOAT32 else None
    if step.op == "Sum":
        return (1,) * len(step.inputs)
    return {"Neg": (-1,), "Identity": (1,), "Add": (1, 1), "Sub": (1, -1)}.get(step.op)


def _number(step: Step, fixed: Mapping[str, Array]) -> tuple[float, str] | None:
    """The constant number that an Add has, and its other input."""
    for name, other in (step.inputs, step.inputs[::-1]):
        if name in fixed and fixed[name].size == 1 and other not in fixed:
            return float(fixed[name].reshape(-1)[0]), other
    return None


def _given(name: str, known: Mapping[str, _Sums], samples: Mapping[str, Array]) -> _Sums | None:
    if name in known:
        return known[name]
    sample = samples.get(name)
    if sample is None or not _is_matrix(sample):
        return None
    width = sample.shape[1]
    return _Sums(name, tuple(((index, 1),) for index in range(width)), (0.0,) * width)


def _made(
    step: Step,
    parts: Iterable[_Sums],
    columns: Sequence[tuple[Term, ...]],
    added: Sequence[float],
) -> _Sums | None:
    given = list(parts)
    steps = frozenset({id(step)}.union(*(part.steps for part in given)))
    found = _Sums(given[0].source, tuple(columns), tuple(added), steps)
    return found if found.columns and found.terms <= _MOST_TERMS else None


def _is_matrix(sample: Array | None) -> bool:
    return sample is not None and sample.dtype == np.float32 and sample.ndim == 2


def _step(name: str, sums: _Sums, width: int) -> Step | None:
    """The step that makes these sums; None where it is not worth it, or lengths differ."""
    if len(sums.steps) <= _WORTH or len({len(column) for column in sums.columns}) != 1:
        return None
    terms = np.array(sums.columns)
    arrays: dict[str, Array] = {
        "columns": terms[..., 0].astype(np.int64),
        "signs": terms[..., 1].astype(np.float32),
        "added": np.array(sums.added, np.float32),
    }
    return Step("add_columns", (sums.source,), (name,), {"width": width}, arrays)


def needed(items: Sequence[Item], outputs: Sequence[str]) -> list[Item]:
    """The items that the outputs need."""
    names, kept = set(outputs), []
    for item in reversed(items):
        made = (item.sums,) if isinstance(item, Estimator) else item.outputs
        if names.intersection(made):
            names.update((item.rows,) if isinstance(item, Estimator) else item.inputs)
            kept.append(item)
    return kept[::-1]
