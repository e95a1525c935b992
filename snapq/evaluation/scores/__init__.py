"""The metrics that snapq has, by family, and how each is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from snapq.evaluation.scores.base import Metric, Outputs
from snapq.evaluation.scores.classes import Confusion, TopK, f1, precision, recall
from snapq.evaluation.scores.detection import MeanAveragePrecision
from snapq.evaluation.scores.landmarks import CorrectKeypoints, NormalizedMeanError
from snapq.evaluation.scores.ranking import Auc, EqualErrorRate
from snapq.evaluation.scores.regression import (
    Determination,
    MeanAbsoluteError,
    RootMeanSquareError,
    Spearman,
)
from snapq.evaluation.scores.segmentation import MeanIoU
from snapq.evaluation.scores.signals import Psnr
from snapq.evaluation.scores.text import ErrorRate

__all__ = ["MAKERS", "Metric", "Outputs"]

MAKERS: Mapping[str, Callable[[], Metric]] = {
    "top1": lambda: TopK(1),
    "top5": lambda: TopK(5),
    "precision": lambda: Confusion("precision", precision),
    "recall": lambda: Confusion("recall", recall),
    "f1": lambda: Confusion("f1", f1),
    "auc": Auc,
    "eer": EqualErrorRate,
    "map": lambda: MeanAveragePrecision("map"),
    "map50": lambda: MeanAveragePrecision("map50", np.array([0.5])),
    "miou": MeanIoU,
    "pck": CorrectKeypoints,
    "nme": NormalizedMeanError,
    "cer": lambda: ErrorRate("cer", tuple),
    "wer": lambda: ErrorRate("wer", str.split),
    "psnr": Psnr,
    "mae": MeanAbsoluteError,
    "rmse": RootMeanSquareError,
    "r2": Determination,
    "spearman": Spearman,
}
"""By name; `snapq.metric_table` says how each is shown."""
