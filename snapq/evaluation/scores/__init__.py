"""The metrics that snapq has, by family, and how each is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from snapq.evaluation.scores.base import Metric, Outputs
from snapq.evaluation.scores.classes import TopK
from snapq.evaluation.scores.segmentation import MeanIoU
from snapq.evaluation.scores.signals import Psnr

__all__ = ["MAKERS", "Metric", "Outputs"]

MAKERS: Mapping[str, Callable[[], Metric]] = {
    "top1": lambda: TopK(1),
    "top5": lambda: TopK(5),
    "miou": MeanIoU,
    "psnr": Psnr,
}
"""By name; `snapq.metric_table` says how each is shown."""
