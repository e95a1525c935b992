"""How conditions become saturating sums of the bytes that the host sends.

A condition is a channel of a Conv with a bias: `bias - sum of weight x byte` is 1 or more where the
condition holds and 0 or less elsewhere, and the output saturates to 0 or 1. A byte pair weighs 128
and 1, since a weight has 7 bits and a sign.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from snapq.classical.program import Step
from snapq.classical.program.steps.tree_encoding import ordered_bits
from snapq.classical.trees import rank_table
from snapq.classical.trees.forest import Column, Forest

MOST_IN_ONE_BYTE = 255
MOST_IN_TWO_BYTES = 255 * 128 + 127
_INTEGERS_OF_FLOAT32 = 2**24
UPPER, LOWER = -128, -1
"""Weights of the two bytes of a number."""


class Form(StrEnum):
    """What the bytes say of a value."""

    LIMBS = "limbs"
    RANKS = "ranks"
    INTEGERS = "integers"


@dataclass(frozen=True)
class Input:
    """An input of the NPU's part: `width` bytes a row."""

    name: str
    width: int


@dataclass(frozen=True)
class Comparison:
    """A Conv over one input, a channel for each of C conditions.

    Attributes:
        source: name of the input.
        weights: int8 [C, width of the input].
        biases: int32 [C].
    """

    source: str
    weights: NDArray[np.int8]
    biases: NDArray[np.int32]


@dataclass(frozen=True)
class Encoding:
    """One way to tell the NPU which conditions hold.

    Attributes:
        form: what the bytes say.
        inputs: of the NPU's part.
        lower: gives 1 where the condition holds, or would if all bits above were equal.
        upper: compares the bits above; None where `lower` decides.
        steps: from the estimators' rows to values named `{input}.{number}`, the inputs' columns
            from left to right; `parts` says how many there are.
        parts: for each input the names of the values that make it up.
    """

    form: Form
    inputs: tuple[Input, ...]
    lower: Comparison
    upper: Comparison | None
    steps: tuple[Step, ...]
    parts: dict[str, tuple[str, ...]]


def limbs(forest: Forest) -> Encoding:
    """All 32 bits of every value, in two halves."""
    layout = _Layout(forest)
    spans = {"tree_low": _Span(), "tree_high": _Span()}
    for source, columns in layout.sources:
        names = tuple(spans[name].name(name) for name in spans)
        layout.steps.append(Step("tree_limbs", (source,), names, {}, layout.arrays(columns)))
        for name in spans:
            spans[name].take(columns, [(LOWER, 4, 0), (UPPER, 4, 1), (UPPER, 4, 2)], 4)
    _members(layout, spans["tree_low"], "tree_low")
    keys = ordered_bits(layout.thresholds[:, None], np.zeros(1, np.bool_))[:, 0].astype(np.int64)
    low, high = keys & 0xFFFF, keys >> 16
    low[layout.member], high[layout.member] = 0, 0
    return Encoding(
        Form.LIMBS,
        tuple(Input(name, span.width) for name, span in spans.items()),
        layout.comparison("tree_low", spans["tree_low"], low + 1),
        layout.comparison("tree_high", spans["tree_high"], high),
        tuple(layout.steps),
        {name: tuple(span.names) for name, span in spans.items()},
    )


def ranks(forest: Forest) -> Encoding | None:
    """The place of every value among its feature's thresholds; None where they are too many."""
    layout = _Layout(forest)
    if max(map(len, layout.distinct.values()), default=0) > MOST_IN_TWO_BYTES:
        return None
    limits = np.zeros(len(layout.thresholds), np.int64)
    for column, distinct in layout.distinct.items():
        mine = layout.of_column[column]
        limits[mine] = np.searchsorted(distinct, layout.thresholds[mine])

    def step(source: str, name: str, columns: Sequence[int], single: int) -> Step:
        distinct = [layout.distinct[column] for column in columns]
        arrays = layout.arrays(columns)
        table = rank_table.build(distinct)
        attributes = {**table.attributes, "single": single}
        return Step("tree_ranks", (source,), (name,), attributes, {**arrays, **table.arrays})

    return _of_numbers(Form.RANKS, layout, limits, lambda c: len(layout.distinct[c]), step)


def integers(forest: Forest) -> Encoding | None:
    """Distances from the least threshold, of values that are integers; None where they are large.

    A value below or beyond all thresholds of its column counts as the next integer there.
    """
    layout = _Layout(forest)
    scales = {column: _Integers.of(distinct) for column, distinct in layout.distinct.items()}
    if any(scale.last > MOST_IN_TWO_BYTES or scale.far for scale in scales.values()):
        return None
    limits = np.zeros(len(layout.thresholds), np.int64)
    for column, scale in scales.items():
        mine = layout.of_column[column]
        limits[mine] = scale.limits(layout.thresholds[mine])

    def step(source: str, name: str, columns: Sequence[int], single: int) -> Step:
        chosen = [scales[column] for column in columns]
        absent = [
            0 if layout.columns[column].nan_true else scale.last
            for column, scale in zip(columns, chosen, strict=True)
        ]
        arrays = {
            "features": layout.arrays(columns)["features"],
            "low": np.array([scale.low for scale in chosen], np.float32),
            "high": np.array([scale.high for scale in chosen], np.float32),
            "first": np.array([scale.first for scale in chosen], np.int32),
            "absent": np.array(absent, np.int32),
        }
        return Step("tree_integers", (source,), (name,), {"single": single}, arrays)

    return _of_numbers(Form.INTEGERS, layout, limits, lambda c: scales[c].last, step)


@dataclass(frozen=True)
class _Integers:
    """The codes of one column: `first + (value - low)` for a value between `low` and `high`.

    Attributes:
        low: the least finite threshold, rounded down.
        high: one more than the greatest.
        first: code of `low`; 1 where a threshold of -infinity is to tell NaN from all numbers.
        last: the greatest code, that of NaN where it is on the false side.
    """

    low: int
    high: int
    first: int
    last: int

    @property
    def far(self) -> bool:
        """Whether a float32 does not hold every integer between."""
        return max(abs(self.low), abs(self.high)) > _INTEGERS_OF_FLOAT32

    @classmethod
    def of(cls, distinct: NDArray[np.float32]) -> _Integers:
        """The codes for ascending thresholds."""
        whole = [int(np.floor(t)) for t in distinct if np.isfinite(t)] or [0]
        low, high = whole[0], whole[-1] + 1
        first = int(distinct[0] == -np.inf)
        return cls(low, high, first, first + high - low + int(distinct[-1] == np.inf))

    def limits(self, thresholds: NDArray[np.float32]) -> NDArray[np.int64]:
        """The greatest code for which each condition holds."""
        near = np.floor(np.clip(thresholds, self.low, self.high)).astype(np.int64)
        limits = self.first + near - self.low
        limits[thresholds == -np.inf] = 0
        return limits


_MakeStep = Callable[[str, str, Sequence[int], int], Step]


def _of_numbers(
    form: Form,
    layout: _Layout,
    limits: NDArray[np.int64],
    largest: Callable[[int], int],
    make: _MakeStep,
) -> Encoding:
    """An encoding by one number a column, which is at most the limit where the condition holds."""
    name, span = "tree_columns", _Span()
    for source, columns in layout.sources:
        small = [column for column in columns if largest(column) <= MOST_IN_ONE_BYTE]
        large = [column for column in columns if largest(column) > MOST_IN_ONE_BYTE]
        layout.steps.append(make(source, span.name(name), [*small, *large], len(small)))
        span.take(small, [(LOWER, 1, 0)], 1)
        span.take(large, [(UPPER, 1, 0), (LOWER, 1, len(large))], 2)
    _members(layout, span, name)
    return Encoding(
        form,
        (Input(name, span.width),),
        layout.comparison(name, span, limits + 1),
        None,
        tuple(layout.steps),
        {name: tuple(span.names)},
    )


class _Span:
    """The columns of an input as they are handed out."""

    def __init__(self) -> None:
        self.width = 0
        self.names: list[str] = []
        self.weights: dict[int, list[tuple[int, int]]] = {}

    def name(self, prefix: str) -> str:
        self.names.append(f"{prefix}.{len(self.names)}")
        return self.names[-1]

    def take(self, columns: Sequence[int], bytes_: list[tuple[int, int, int]], size: int) -> None:
        """Gives `size` bytes to each column: (weight, stride from column to column, start)."""
        for index, column in enumerate(columns):
            self.weights[column] = [
                (self.width + stride * index + start, weight) for weight, stride, start in bytes_
            ]
        self.width += size * len(columns)


class _Layout:
    """What of a forest matters to every encoding."""

    def __init__(self, forest: Forest) -> None:
        self.columns = forest.columns
        self.at = np.array([c.column for c in forest.conditions], np.int64)
        self.thresholds = np.array([c.threshold for c in forest.conditions], np.float32)
        members = np.array([column.members is not None for column in forest.columns], np.bool_)
        self.member = members[self.at] if len(self.at) else np.zeros(0, np.bool_)
        order = np.argsort(self.at, kind="stable")
        bounds = np.searchsorted(self.at[order], np.arange(len(self.columns) + 1))
        self.of_column = {
            column: order[bounds[column] : bounds[column + 1]]
            for column in range(len(self.columns))
            if not members[column]
        }
        self.distinct = {c: np.unique(self.thresholds[mine]) for c, mine in self.of_column.items()}
        self.sources = _by_rows(self.columns, list(self.of_column))
        self.with_members = _by_rows(self.columns, np.flatnonzero(members).tolist())
        self.steps: list[Step] = []

    def arrays(self, columns: Sequence[int]) -> dict[str, NDArray[np.generic]]:
        """The features of columns and their sides of NaN."""
        chosen = [self.columns[column] for column in columns]
        return {
            "features": np.array([column.feature for column in chosen], np.int32),
            "nan_true": np.array([column.nan_true for column in chosen], np.bool_),
        }

    def comparison(self, name: str, span: _Span, biases: NDArray[np.int64]) -> Comparison:
        """The weights of every condition."""
        of_column = np.zeros((len(self.columns), span.width), np.int8)
        for column, placed in span.weights.items():
            for place, weight in placed:
                of_column[column, place] = weight
        return Comparison(name, of_column[self.at], biases.astype(np.int32))


def _by_rows(columns: Sequence[Column], chosen: list[int]) -> list[tuple[str, list[int]]]:
    found: dict[str, list[int]] = {}
    for column in chosen:
        found.setdefault(columns[column].rows, []).append(column)
    return list(found.items())


def _members(layout: _Layout, span: _Span, name: str) -> None:
    """A byte that is 0 for a member and 1 elsewhere, for each column with members."""
    for source, columns in layout.with_members:
        pairs = [(i, v) for i, c in enumerate(columns) for v in layout.columns[c].members or ()]
        arrays = {
            **layout.arrays(columns),
            "thresholds": np.full(len(columns), np.nan, np.float32),
            "member_of": np.array([i for i, _ in pairs], np.int32),
            "member_values": np.array([v for _, v in pairs], np.float32),
        }
        layout.steps.append(Step("tree_members", (source,), (span.name(name),), {}, arrays))
        span.take(columns, [(LOWER, 1, 0)], 1)
