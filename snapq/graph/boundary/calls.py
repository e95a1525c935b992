"""Samples gathered into calls of a package that takes several at once, and taken apart again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

__all__ = ["calls", "gathered", "parted"]

Array = np.ndarray[Any, np.dtype[Any]]
Values = Mapping[str, Array]


def gathered(samples: Sequence[Values], batch: int) -> dict[str, Array]:
    """One call of `batch` samples; where there are fewer, they come again from the first on."""
    if batch == 1:
        return dict(samples[0])
    taken = [samples[number % len(samples)] for number in range(batch)]
    return {name: np.concatenate([sample[name] for sample in taken]) for name in samples[0]}


def calls(samples: Iterable[Values], batch: int) -> Iterator[dict[str, Array]]:
    """All samples, `batch` a call."""
    waiting = iter(samples)
    while group := tuple(islice(waiting, batch)):
        yield gathered(group, batch)


def parted(outputs: Values, batch: int) -> list[dict[str, Array]]:
    """What a call gave, sample by sample."""
    if batch == 1:
        return [dict(outputs)]
    parts = {name: np.split(values, batch) for name, values in outputs.items()}
    return [{name: parts[name][number] for name in parts} for number in range(batch)]
