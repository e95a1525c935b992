"""The metrics that snapq has: their names in deploy.yaml, how they are shown, which way is up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["METRICS", "MetricFacts", "Unit", "drop", "facts"]


class Unit(Enum):
    """What a metric's number is."""

    SHARE = auto()
    """Of 1; shown in per cent, and a change in points."""
    DECIBELS = auto()
    NUMBER = auto()
    """A plain number, or one in the unit of the label."""


@dataclass(frozen=True)
class MetricFacts:
    """A metric as readers know it."""

    title: str
    unit: Unit
    lower_is_better: bool = False


METRICS = {
    "top1": MetricFacts("Top-1", Unit.SHARE),
    "top5": MetricFacts("Top-5", Unit.SHARE),
    "precision": MetricFacts("Precision", Unit.SHARE),
    "recall": MetricFacts("Recall", Unit.SHARE),
    "f1": MetricFacts("F1", Unit.SHARE),
    "auc": MetricFacts("AUC", Unit.NUMBER),
    "eer": MetricFacts("Equal error rate", Unit.SHARE, lower_is_better=True),
    "map": MetricFacts("mAP at IoU 0.5 to 0.95", Unit.SHARE),
    "map50": MetricFacts("mAP at IoU 0.5", Unit.SHARE),
    "miou": MetricFacts("Mean IoU", Unit.SHARE),
    "pck": MetricFacts("PCK at 0.2", Unit.SHARE),
    "nme": MetricFacts("Normalized mean error", Unit.SHARE, lower_is_better=True),
    "cer": MetricFacts("Character error rate", Unit.SHARE, lower_is_better=True),
    "wer": MetricFacts("Word error rate", Unit.SHARE, lower_is_better=True),
    "psnr": MetricFacts("PSNR", Unit.DECIBELS),
    "mae": MetricFacts("Mean absolute error", Unit.NUMBER, lower_is_better=True),
    "rmse": MetricFacts("Root mean square error", Unit.NUMBER, lower_is_better=True),
    "r2": MetricFacts("R²", Unit.NUMBER),
    "spearman": MetricFacts("Spearman correlation", Unit.NUMBER),
}
"""`snapq.evaluation.scores` computes them."""


def facts(metric: str) -> MetricFacts | None:
    """The row of a metric as records name it, `top1` or `top1 of logits`; None for a user's own."""
    return METRICS.get(metric.partition(" of ")[0])


def drop(metric: str, before: float, now: float) -> float:
    """By how much `now` is worse than `before`, in the metric's unit; negative where it is better.

    A metric of the user's own is better where it is higher.
    """
    found = facts(metric)
    return now - before if found is not None and found.lower_is_better else before - now
