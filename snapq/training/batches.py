"""Samples in shuffled batches, from any data set, in bounded memory.

A set that fits into the budget is read once and shuffled whole. A larger one streams through a
buffer of that size in each epoch: a sample leaves it at random when the next one comes. The order
follows from the seed and the epoch alone, so that a run that was stopped resumes as if it had not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np

from snapq.errors import DataError

__all__ = ["MEMORY", "Batches", "Item", "Samples"]

MEMORY = 256 << 20
"""Bytes of samples to train on that are held at a time, and as many of samples that judge."""
_JUDGES = 1000
"""Samples that judge, at most: more would cost time and change little."""

Array = np.ndarray[Any, np.dtype[Any]]


class Item(Protocol):
    """What training needs of a sample of `snapq.evaluation.datasets`."""

    @property
    def feeds(self) -> Mapping[str, Array]:
        """What the float model takes."""
        ...

    @property
    def label(self) -> object:
        """A class number; training does not use labels of other kinds."""
        ...


class Samples(Protocol):
    """A data set: the same samples in the same order each time."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Item]: ...


@dataclass(frozen=True)
class _Held:
    """A sample without what training does not need."""

    feeds: Mapping[str, Array]
    label: object


class Batches:
    """Batches of a data set, split into samples to train on and samples that judge.

    Args:
        data: the samples.
        size: samples a batch; the last one of an epoch may have fewer.
        held_out: share of the samples that judge, evenly spaced over the set.
        seed: seed of the order.
        memory: bytes of samples that are held at a time.

    Raises:
        DataError: there are not two samples.
    """

    def __init__(
        self, data: Samples, size: int, held_out: float, seed: int, memory: int = MEMORY
    ) -> None:
        count = len(data)
        if count < 2:
            raise DataError(
                f"There is {count} sample to train on; training needs two at least.",
                where="data.training",
                hint="Give some hundreds that look like what the device will see.",
            )
        judges = min(max(round(count * held_out), 1), count - 1, _JUDGES)
        self._held_out = {(2 * index + 1) * count // (2 * judges) for index in range(judges)}
        self._data = data
        self._size = size
        self._seed = seed
        self._memory = memory
        self._kept: list[_Held] | None = None
        self._judges: list[_Held] | None = None
        self._streams = False
        self.trained = count - judges
        self.judging = judges

    @property
    def per_epoch(self) -> int:
        """Batches of one epoch."""
        return -(-self.trained // self._size)

    def epoch(self, number: int) -> Iterator[Sequence[Item]]:
        """The batches of an epoch, in an order of its own."""
        rng = np.random.default_rng([self._seed, number])
        kept = self._all()
        if kept is not None:
            ordered: Iterable[Item] = (kept[i] for i in rng.permutation(len(kept)))
        else:
            ordered = self._buffered(rng)
        yield from self._batched(ordered)

    def held_out(self) -> Iterator[Sequence[Item]]:
        """The batches of the samples that judge; they are read once where they fit."""
        yield from self._batched(self._judging() if self._judges is None else self._judges)

    def _batched(self, items: Iterable[Item]) -> Iterator[Sequence[Item]]:
        waiting = iter(items)
        while batch := list(islice(waiting, self._size)):
            yield batch

    def _judging(self) -> Iterator[_Held]:
        kept: list[_Held] = []
        for held in self._stream(judging=True):
            yield held
            if len(kept) * _bytes(held) <= self._memory:
                kept.append(held)
        if len(kept) == self.judging:
            self._judges = kept

    def _stream(self, *, judging: bool = False) -> Iterator[_Held]:
        for index, item in enumerate(self._data):
            if (index in self._held_out) is judging:
                yield _held(item)

    def _all(self) -> list[_Held] | None:
        """All samples, where they fit into the budget."""
        if self._kept is None and not self._streams:
            kept: list[_Held] = []
            for item in self._stream():
                kept.append(item)
                if len(kept) * _bytes(item) > self._memory:
                    self._streams = True
                    return None
            self._kept = kept
        return self._kept

    def _buffered(self, rng: np.random.Generator) -> Iterator[_Held]:
        buffer: list[_Held] = []
        for item in self._stream():
            if not buffer or (len(buffer) + 1) * _bytes(item) <= self._memory:
                buffer.append(item)
                continue
            index = int(rng.integers(len(buffer)))
            yield buffer[index]
            buffer[index] = item
        yield from (buffer[int(i)] for i in rng.permutation(len(buffer)))


def _held(item: Item) -> _Held:
    label = None if isinstance(item.label, Mapping) else item.label
    return _Held({name: np.asarray(value) for name, value in item.feeds.items()}, label)


def _bytes(item: Item) -> int:
    label = item.label.nbytes if isinstance(item.label, np.ndarray) else 8
    return sum(value.nbytes for value in item.feeds.values()) + label
