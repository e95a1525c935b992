"""The metrics that snapq has: their names in deploy.yaml, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["METRICS", "MetricFacts", "Unit"]


class Unit(Enum):
    """What a metric's number is."""

    SHARE = auto()
    """Of 1; shown in per cent, and a change in points."""
    DECIBELS = auto()


@dataclass(frozen=True)
class MetricFacts:
    """A metric as readers know it."""

    title: str
    unit: Unit


METRICS = {
    "top1": MetricFacts("Top-1", Unit.SHARE),
    "top5": MetricFacts("Top-5", Unit.SHARE),
    "miou": MetricFacts("Mean IoU", Unit.SHARE),
    "psnr": MetricFacts("PSNR", Unit.DECIBELS),
}
"""`snapq.evaluation.scores` computes them."""
