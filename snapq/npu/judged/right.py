"""Whether a form of a network is right: no output is worse on the simulator than in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snapq.evaluation.sqnr import SqnrMeter

__all__ = ["MOST_DB", "worse"]

Array = np.ndarray[Any, np.dtype[Any]]
Outputs = Mapping[str, Array]

MOST_DB = 0.3
"""By which an output may be worse."""
_ENOUGH_DB = 60.0
"""From here on differences are those of the last digit of fp16."""


def worse(
    truth: Sequence[Outputs], usual: Sequence[Outputs], other: Sequence[Outputs]
) -> str | None:
    """Says which output another form gives worse than the usual one; None where none is.

    Args:
        truth: outputs of the float network, sample by sample, by name.
        usual: of the usual form, simulated.
        other: of the other form, simulated.
    """
    before, after = _sqnr(truth, usual), _sqnr(truth, other)
    for name, value in after.items():
        if not value >= min(before[name] - MOST_DB, _ENOUGH_DB):
            return f"'{name}' has {value:.1f} dB simulated, {before[name]:.1f} as it was"
    return None


def _sqnr(truth: Sequence[Outputs], found: Sequence[Outputs]) -> dict[str, float]:
    meter = SqnrMeter(truth[0])
    for one, other in zip(truth, found, strict=True):
        meter.update(one, {name: np.asarray(other[name]) for name in one})
    return meter.values()
