"""Groups of channels of an output that a figure over the whole output cannot speak for.

Boxes in pixels and scores from 0 to 1 often leave through one Concat. The boxes hold nearly all the
energy, so a figure of the whole output is theirs, and the scores can be dead without a trace in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

__all__ = ["ChannelGroup", "GroupedOutputs", "by_range", "whole"]

Array = np.ndarray[Any, np.dtype[Any]]
Outputs = Mapping[str, Array]

_RATIO = 8.0
"""Channels whose largest values differ by less than this share a group."""
_LEAST_ELEMENTS = 4
"""So many values of a channel say how large it gets."""
_ENOUGH_SAMPLES = 8
"""Where a channel is a number, so many samples are waited for."""
_NOTHING = 2.0**-20
"""Channels that stay below this share of the output's largest value hold nothing: pruned ones, of
which a normalization leaves 1e-7 or 1e-31."""
_MOST_CHANNELS = 4096
_MOST_GROUPS = 8
_SUM = 1e-3
"""Probabilities of one decision add up to 1 within this; fp16 and float32 do."""
_MOST_KEPT = 2**26
"""Bytes of outputs that are kept until it is known how large their channels get."""


@dataclass(frozen=True)
class ChannelGroup:
    """Some channels of a tensor; all of them where the axis is None.

    Attributes:
        axis: of the channels.
        channels: their indices, rising.
    """

    axis: int | None = None
    channels: tuple[int, ...] = ()

    def of(self, array: Array) -> Array:
        """The group's part of a tensor."""
        return array if self.axis is None else np.take(array, self.channels, self.axis)

    @property
    def name(self) -> str:
        """`[:, 4:84]`; nothing where the group is the whole tensor."""
        if self.axis is None:
            return ""
        return f"[{':, ' * self.axis}{', '.join(_spans(self.channels))}]"


class Meter(Protocol):
    """What compares outputs with a reference, a sample at a time."""

    def update(self, reference: Outputs, outputs: Outputs) -> None:
        """Takes one sample."""


class GroupedOutputs:
    """Hands a meter outputs beside the groups of their channels, each under a name of its own.

    The groups are those of the first references: of one sample where a channel has several values
    in it, of eight where it is a number, as in what a regression gives. As a context manager it
    hands on what it kept for that when it is left.
    """

    def __init__(self, meter: Meter) -> None:
        self.places: dict[str, tuple[str, str]] = {}
        """Output and channels (empty: all) by name."""
        self._meter = meter
        self._groups: list[tuple[str, str, ChannelGroup]] = []
        self._first: list[tuple[Outputs, Outputs]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._start()

    def update(self, reference: Outputs, outputs: Outputs) -> None:
        """Takes one sample."""
        if self._groups:
            self._hand_on(reference, outputs)
            return
        self._first.append((reference, outputs))
        if len(self._first) >= self._wanted(reference):
            self._start()

    def _wanted(self, reference: Outputs) -> int:
        """How many samples tell the groups of all outputs."""
        kept = sum(array.nbytes for array in reference.values())
        few = any(
            array.size // length < _LEAST_ELEMENTS
            for array in reference.values()
            if array.dtype.kind == "f"
            for length in array.shape
            if length > 1
        )
        return _ENOUGH_SAMPLES if few and 2 * kept * _ENOUGH_SAMPLES <= _MOST_KEPT else 1

    def _start(self) -> None:
        """Finds the groups, and hands on what was kept."""
        if not self._first:
            return
        for name in self._first[0][0]:
            groups = by_range([reference[name] for reference, _ in self._first])
            for group in (*whole(), *(groups if len(groups) > 1 else ())):
                self.places[f"{name}{group.name}"] = (name, group.name)
                self._groups.append((f"{name}{group.name}", name, group))
        kept, self._first = self._first, []
        for reference, outputs in kept:
            self._hand_on(reference, outputs)

    def _hand_on(self, reference: Outputs, outputs: Outputs) -> None:
        self._meter.update(self._split(reference, reference), self._split(outputs, reference))

    def _split(self, outputs: Outputs, reference: Outputs) -> dict[str, Array]:
        """The outputs, and the groups of those that have several."""
        return {
            # Of another shape, it is refused as a whole.
            key: group.of(outputs[name])
            if outputs[name].shape == reference[name].shape
            else outputs[name]
            for key, name, group in self._groups
            if name in outputs
        }


def whole() -> tuple[ChannelGroup, ...]:
    """One group of all channels."""
    return (ChannelGroup(),)


def by_range(samples: Sequence[Array]) -> tuple[ChannelGroup, ...]:
    """Groups of channels of alike range, by the values of an output on one or more samples.

    The axis is the shortest one along which ranges fall into groups whose largest values are a
    factor of 8 and more apart. Channels that are zero throughout, or below a millionth of the
    largest value, belong to none. Probabilities of one decision, which add up to 1, are alike
    however rare some are. One group of all where there is no such axis.
    """
    shape = samples[0].shape
    if samples[0].dtype.kind != "f" or not all(one.shape == shape for one in samples):
        return whole()
    for axis in sorted(range(len(shape)), key=lambda index: shape[index]):
        elements = len(samples) * samples[0].size // max(shape[axis], 1)
        if 1 < shape[axis] <= _MOST_CHANNELS and elements >= _LEAST_ELEMENTS:
            found = _clusters(_largest(samples, axis))
            if 1 < len(found) <= _MOST_GROUPS and not _adds_up(samples, axis):
                return tuple(ChannelGroup(axis, channels) for channels in found)
    return whole()


def _adds_up(samples: Sequence[Array], axis: int) -> bool:
    """Whether the values along an axis are probabilities of one decision."""
    return all(
        bool(np.all(one >= 0) and np.all(np.abs(one.sum(axis, dtype=np.float64) - 1) <= _SUM))
        for one in samples
    )


def _largest(samples: Sequence[Array], axis: int) -> Array:
    """The largest finite magnitude of each channel."""
    rest = tuple(index for index in range(samples[0].ndim) if index != axis)
    found = np.zeros(samples[0].shape[axis])
    for one in samples:
        finite = np.where(np.isfinite(one), np.abs(one), 0.0)
        found = np.maximum(found, finite.max(axis=rest))
    return found


def _clusters(largest: Array) -> list[tuple[int, ...]]:
    """Channels in groups, in the order of their first channels; those of nothing are left out."""
    least = _NOTHING * largest.max(initial=0.0)
    order = [int(index) for index in np.argsort(largest, kind="stable") if largest[index] > least]
    groups: list[list[int]] = []
    for before, channel in zip((None, *order), order, strict=False):
        if before is None or largest[channel] >= _RATIO * largest[before]:
            groups.append([])
        groups[-1].append(channel)
    return sorted(tuple(sorted(group)) for group in groups)


def _spans(channels: Sequence[int]) -> Iterator[str]:
    """`4:84`, `3`: runs of channels that follow each other."""
    start = 0
    for index in range(1, len(channels) + 1):
        if index == len(channels) or channels[index] != channels[index - 1] + 1:
            first, last = channels[start], channels[index - 1]
            yield str(first) if first == last else f"{first}:{last + 1}"
            start = index
