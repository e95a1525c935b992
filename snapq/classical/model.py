"""A classical model as it was read: the host's steps, and the estimators between them."""

from __future__ import annotations

from dataclasses import dataclass

from snapq.classical.ensemble import Ensemble
from snapq.classical.linear import Linear
from snapq.classical.svm import SupportVectors


@dataclass(frozen=True)
class Estimator:
    """One estimator of a graph: what can go onto the NPU.

    Attributes:
        form: its plain form.
        rows: name of the value float32 [N, F] that it reads.
        sums: name of the value float [N, targets] that it makes; steps behind it make scores and
            labels of them.
    """

    form: Ensemble | SupportVectors | Linear
    rows: str
    sums: str
