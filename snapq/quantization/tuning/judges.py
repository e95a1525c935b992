"""Who judges the steps of a preset beside the CPU, and who hears of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from snapq.quantization.tuning.output_score import Runner
from snapq.quantization.tuning.price import Time

__all__ = ["ALONE", "Judges"]


def _nobody(_line: str) -> None:
    """Hears of nothing."""


@dataclass(frozen=True)
class Judges:
    """What a search for better steps asks of the outside.

    Attributes:
        runner: what compares the last steps at the end: the simulator. The CPU compares every
            step.
        time: the estimate, in microseconds; without one, no step is tried that may take time.
        told: called with a line for each step that was tried.
    """

    runner: Runner | None = None
    time: Time | None = None
    told: Callable[[str], None] = _nobody


ALONE = Judges()
"""The CPU judges, and nobody is told."""
