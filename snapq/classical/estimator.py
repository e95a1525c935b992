"""One estimator of a graph, in its plain form: what can go onto the NPU."""

from __future__ import annotations

from dataclasses import dataclass

from snapq.classical.ensemble import Ensemble
from snapq.classical.linear import Linear
from snapq.classical.perceptron import Perceptron
from snapq.classical.svm import SupportVectors

Form = Ensemble | SupportVectors | Linear | Perceptron


@dataclass(frozen=True)
class Estimator:
    """An estimator between the steps of the host.

    Attributes:
        form: its plain form.
        rows: name of the value float32 [N, F] that it reads.
        sums: name of the value float [N, targets] that it makes; steps behind it make scores and
            labels of them.
    """

    form: Form
    rows: str
    sums: str
