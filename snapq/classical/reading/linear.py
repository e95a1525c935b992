"""LinearClassifier and LinearRegressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snapq.classical.linear import Linear
from snapq.classical.reading.graph import Node
from snapq.classical.reading.reader import Reader
from snapq.classical.reading.registry import reads
from snapq.classical.reading.scores import (
    FLOAT32,
    best_class,
    class_labels,
    label_values,
    pick_by_sign,
    pick_label,
    post_transform,
    side_by_side,
    transform,
)


def check_finite(node: Node, *values: NDArray[Any]) -> None:
    """Raises ModelError where a weight is infinite or NaN."""
    if not all(np.isfinite(value).all() for value in values):
        raise node.error("one of its weights is infinite or NaN")


@reads("LinearRegressor")
def read_regressor(reader: Reader, node: Node) -> None:
    """Reads a regressor of one or several targets."""
    targets = int(node.attributes.get("targets", 1))
    offsets = node.array("intercepts", np.float32)
    if len(offsets) != targets:  # ONNX Runtime leaves others out
        offsets = np.zeros(targets, np.float32)
    scores = _scores(reader, node, targets, offsets)
    post = post_transform(node)
    if targets > 1 or post == "PROBIT":
        scores = transform(reader, scores, post)
    reader.add("Identity", scores, outputs=[node.outputs[0]])


@reads("LinearClassifier")
def read_classifier(reader: Reader, node: Node) -> None:
    """Reads a classifier of one score a class, or of one score for two classes."""
    labels = class_labels(node, "classlabels_ints")
    offsets = node.array("intercepts", np.float32)
    targets = len(offsets)
    if not targets or targets > len(labels) or (targets == 1 and len(labels) != 2):
        raise node.error(f"it has {targets} intercepts for {len(labels)} classes")
    scores, post = _scores(reader, node, targets, offsets), post_transform(node)
    if targets > 1:
        index = best_class(reader, scores)
        given = transform(reader, scores, post)
        pick_label(reader, label_values(labels), index, node.outputs[0])
    else:
        if post == "PROBIT":
            raise node.error("its post_transform PROBIT gives one score of two")
        pick_by_sign(reader, label_values(labels), scores, node.outputs[0])
        other = reader.add("Sub", reader.constant(np.float32(1)), scores)
        given = side_by_side(reader, other, scores)
    if len(node.outputs) > 1 and node.outputs[1]:
        reader.add("Identity", given, outputs=[node.outputs[1]])


def _scores(reader: Reader, node: Node, targets: int, offsets: NDArray[np.float32]) -> str:
    rows = reader.rows(node)
    features = reader.samples[rows].shape[1]
    weights = node.array("coefficients", np.float32)
    if targets < 1 or len(weights) != targets * features:
        raise node.error(
            f"it has {len(weights)} coefficients for {targets} targets and {features} columns"
        )
    check_finite(node, weights, offsets)
    form = Linear(node.name, features, weights.reshape(targets, features), offsets)
    return reader.add("Cast", reader.estimate(form, rows), attributes={"to": FLOAT32})
