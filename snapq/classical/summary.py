"""What a classical model is made of, for readers: estimators with their sizes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from snapq.classical.ensemble import Ensemble
from snapq.classical.perceptron import Perceptron
from snapq.classical.svm import SupportVectors

if TYPE_CHECKING:
    from snapq.classical.model import ClassicalModel, Estimator

__all__ = ["EstimatorSummary", "importances", "summaries"]


@dataclass(frozen=True)
class EstimatorSummary:
    """One estimator.

    Attributes:
        name: of its node.
        kind: `trees`, `svm`, `linear` or `perceptron`.
        features: columns that it reads.
        targets: numbers that it gives a row.
        trees: of trees, how many; `nodes`, `leaves` and `depth` are those of all of them.
        vectors: of an SVM, how many support vectors; `kernel` is its kernel.
        hidden: of a perceptron, how many values each inner layer has.
    """

    name: str
    kind: str
    features: int
    targets: int
    trees: int = 0
    nodes: int = 0
    leaves: int = 0
    depth: int = 0
    conditions: int = 0
    vectors: int = 0
    kernel: str = ""
    hidden: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The summary as JSON values."""
        return asdict(self)

    def describe(self) -> str:
        """`100 trees of depth 8, 2,340 leaves`, for readers."""
        if self.kind == "trees":
            many = "s" if self.trees != 1 else ""
            return (
                f"{self.trees:,} tree{many} of depth {self.depth}, {self.leaves:,} leaves, "
                f"{self.conditions:,} distinct conditions"
            )
        if self.kind == "svm":
            return f"{self.vectors:,} support vectors, kernel {self.kernel}"
        if self.kind == "perceptron":
            inner = ", ".join(f"{count:,}" for count in self.hidden)
            many = "s" if len(self.hidden) != 1 else ""
            return (
                f"{self.features:,} columns, {len(self.hidden)} inner layer{many} of {inner}, to "
                f"{self.targets:,} value{'s' * (self.targets != 1)}"
            )
        return f"{self.features:,} columns to {self.targets:,} value{'s' * (self.targets != 1)}"


def summaries(model: ClassicalModel) -> tuple[EstimatorSummary, ...]:
    """The estimators of a model, in its order."""
    return tuple(map(_summary, model.estimators))


def importances(model: ClassicalModel) -> dict[str, dict[int, float]]:
    """How often trees ask for each column, weighted by how near the root, by estimator.

    A condition at depth d counts 2^-d, as that share of rows reaches it where halves go each way;
    the sum over columns is 1.
    """
    return {
        one.form.name: _importance(one.form)
        for one in model.estimators
        if isinstance(one.form, Ensemble)
    }


def _importance(trees: Ensemble) -> dict[int, float]:
    found = np.zeros(trees.features)
    front, weight = trees.roots, 1.0
    while len(front := front[trees.condition[front] >= 0]):
        asked = trees.conditions.features[trees.condition[front]]
        np.add.at(found, asked, weight)
        front, weight = np.concatenate([trees.on_true[front], trees.on_false[front]]), weight / 2
    total = found.sum() or 1.0
    return {int(column): float(found[column] / total) for column in np.flatnonzero(found)}


def _summary(one: Estimator) -> EstimatorSummary:
    form = one.form
    if isinstance(form, Ensemble):
        return EstimatorSummary(
            form.name,
            "trees",
            form.features,
            form.targets,
            trees=len(form.roots),
            nodes=len(form.condition),
            leaves=len(form.leaves),
            depth=form.depth,
            conditions=len(form.conditions),
        )
    if isinstance(form, SupportVectors):
        return EstimatorSummary(
            form.name,
            "svm",
            form.features,
            form.targets,
            vectors=len(form.vectors),
            kernel=form.kernel.lower(),
        )
    if isinstance(form, Perceptron):
        hidden = tuple(len(layer.offsets) for layer in form.layers[:-1])
        return EstimatorSummary(form.name, "perceptron", form.features, form.targets, hidden=hidden)
    return EstimatorSummary(form.name, "linear", form.features, form.targets)
