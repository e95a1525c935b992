"""SVMClassifier and SVMRegressor: decision values of pairs of classes, votes, probabilities."""

from __future__ import annotations

from itertools import combinations
from typing import cast

import numpy as np
from numpy.typing import NDArray

from snapq.classical.linear import Linear
from snapq.classical.reading.graph import Node
from snapq.classical.reading.linear import check_finite
from snapq.classical.reading.reader import Reader
from snapq.classical.reading.registry import reads
from snapq.classical.reading.scores import (
    FLOAT32,
    Labels,
    best_class,
    class_labels,
    label_values,
    pick_by_sign,
    pick_label,
    post_transform,
    side_by_side,
    transform,
)
from snapq.classical.svm import Kernel, SupportVectors


@reads("SVMRegressor")
def read_regressor(reader: Reader, node: Node) -> None:
    """Reads a regressor, or a detector of outliers (`one_class`) that answers 1 or -1."""
    rows = reader.rows(node)
    features = reader.samples[rows].shape[1]
    coefficients = node.array("coefficients", np.float32)
    rho = node.array("rho", np.float32)
    count = int(node.attributes.get("n_supports", 0))
    if not len(rho) or not len(coefficients):
        raise node.error("it has no coefficients or no rho")
    if post_transform(node) != "NONE":
        raise node.error("it has a post_transform, which ONNX Runtime leaves out")
    if count > 0:
        form: SupportVectors | Linear = _support_vectors(
            node, features, count, coefficients[None, :count], rho[:1]
        )
    else:
        form = _linear(node, features, coefficients[None], rho[:1])
    scores = reader.add("Cast", reader.estimate(form, rows), attributes={"to": FLOAT32})
    if node.attributes.get("one_class", 0):
        above = reader.add("Greater", scores, reader.constant(np.zeros((1, 1), np.float32)))
        inside, outside = reader.constant(np.float32(1)), reader.constant(np.float32(-1))
        reader.add("Where", above, inside, outside, outputs=[node.outputs[0]])
    else:
        reader.add("Identity", scores, outputs=[node.outputs[0]])


@reads("SVMClassifier")
def read_classifier(reader: Reader, node: Node) -> None:
    """Reads a classifier: a decision a pair of classes; without `vectors_per_class` a class."""
    labels = class_labels(node, "classlabels_ints")
    rows = reader.rows(node)
    per_class = node.array("vectors_per_class", np.int64)
    if per_class.sum() > 0:
        _read_pairs(reader, node, labels, rows, per_class)
    else:
        _read_one_a_class(reader, node, labels, rows)


def _read_pairs(
    reader: Reader, node: Node, labels: Labels, rows: str, per_class: NDArray[np.int64]
) -> None:
    classes = len(labels)
    pairs = classes * (classes - 1) // 2
    if len(per_class) != classes or (per_class < 0).any():
        raise node.error(f"vectors_per_class has {len(per_class)} entries for {classes} classes")
    count, rho = int(per_class.sum()), node.array("rho", np.float32)
    coefficients = node.array("coefficients", np.float32)
    if len(coefficients) != (classes - 1) * count or len(rho) < pairs:
        raise node.error(
            f"it has {len(coefficients)} coefficients and {len(rho)} rho for {classes} classes "
            f"and {count} support vectors"
        )
    decisions = _of_pairs(coefficients.reshape(classes - 1, count), per_class)
    features = reader.samples[rows].shape[1]
    form = _support_vectors(node, features, count, decisions, rho[:pairs])
    scores = reader.add("Cast", reader.estimate(form, rows), attributes={"to": FLOAT32})
    if classes == 2:
        pick_by_sign(reader, label_values(labels[::-1]), scores, node.outputs[0])
    else:
        votes = _votes(reader, scores, classes)
        pick_label(reader, label_values(labels), votes, node.outputs[0])
    if len(node.outputs) > 1 and node.outputs[1]:
        reader.add("Identity", _scores(reader, node, scores, classes), outputs=[node.outputs[1]])


def _of_pairs(
    coefficients: NDArray[np.float32], per_class: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Coefficients [K - 1, S] as LIBSVM packs them, one row a pair: [K (K - 1) / 2, S]."""
    ends = np.cumsum(per_class)
    own = [slice(int(end - count), int(end)) for end, count in zip(ends, per_class, strict=True)]
    pairs = list(combinations(range(len(per_class)), 2))
    table = np.zeros((len(pairs), coefficients.shape[1]), np.float32)
    for row, (i, j) in zip(table, pairs, strict=True):
        row[own[i]] = coefficients[j - 1, own[i]]
        row[own[j]] = coefficients[i, own[j]]
    return table


def _votes(reader: Reader, scores: str, classes: int) -> str:
    """Each pair votes for its first class where its decision is above 0, else for its second."""
    first, second = np.triu_indices(classes, 1)
    wins = np.zeros((len(first), classes), np.float32)
    wins[np.arange(len(first)), first] = 1
    wins[np.arange(len(first)), second] = -1
    others = np.zeros((1, classes), np.float32)
    np.add.at(others[0], second, 1)
    above = reader.add("Greater", scores, reader.constant(np.float32(0)))
    won = reader.add("Cast", above, attributes={"to": FLOAT32})
    votes = reader.add("Gemm", won, reader.constant(wins), reader.constant(others))
    return best_class(reader, votes)


def _scores(reader: Reader, node: Node, scores: str, classes: int) -> str:
    """The second output: decision values, or probabilities where the node holds their curves."""
    a, b = node.array("prob_a", np.float32), node.array("prob_b", np.float32)
    post = post_transform(node)
    pairs = classes * (classes - 1) // 2
    if len(a):
        if len(a) < pairs or len(b) < pairs:
            raise node.error(f"prob_a and prob_b have fewer than {pairs} entries")
        coupled = reader.add(
            "couple_pairs",
            scores,
            attributes={"classes": classes},
            arrays={"prob_a": a[:pairs], "prob_b": b[:pairs]},
        )
        return transform(reader, coupled, post)
    if classes > 2:
        return transform(reader, scores, post)
    if post == "PROBIT":
        raise node.error("its post_transform PROBIT gives one score of two")
    if post == "NONE":
        return side_by_side(reader, reader.add("Neg", scores), scores)
    other = reader.add("Sub", reader.constant(np.float32(1)), scores)
    return side_by_side(reader, other, scores)


def _read_one_a_class(reader: Reader, node: Node, labels: Labels, rows: str) -> None:
    classes, rho = len(labels), node.array("rho", np.float32)
    coefficients = node.array("coefficients", np.float32)
    if not len(rho) or not len(coefficients) or len(coefficients) % classes:
        raise node.error(f"its coefficients or rho do not fit {classes} classes")
    form = _linear(
        node,
        reader.samples[rows].shape[1],
        coefficients.reshape(classes, -1),
        np.full(classes, rho[0], np.float32),
    )
    scores = reader.add("Cast", reader.estimate(form, rows), attributes={"to": FLOAT32})
    index = best_class(reader, scores)
    if classes == 2 and not len(node.array("prob_a", np.float32)):
        positive = bool((coefficients >= 0).all())
        limit = reader.constant(np.float32(0.5 if positive else 0))
        axes = reader.constant(np.array([1], np.int64))
        top = reader.add("ReduceMax", scores, axes, attributes={"keepdims": 0})
        second = reader.add("GreaterOrEqual" if positive else "Greater", top, limit)
        index = reader.add("Where", second, reader.constant(np.int64(1)), index)
    pick_label(reader, label_values(labels), index, node.outputs[0])
    if len(node.outputs) > 1 and node.outputs[1]:
        changed = transform(reader, scores, post_transform(node))
        reader.add("Identity", changed, outputs=[node.outputs[1]])


def _linear(
    node: Node, features: int, weights: NDArray[np.float32], offsets: NDArray[np.float32]
) -> Linear:
    if weights.shape[1] != features:
        raise node.error(f"it wants {weights.shape[1]} columns, and its input has {features}")
    check_finite(node, weights, offsets)
    return Linear(node.name, features, weights, offsets)


def _support_vectors(
    node: Node,
    features: int,
    count: int,
    coefficients: NDArray[np.float32],
    offsets: NDArray[np.float32],
) -> SupportVectors:
    vectors = node.array("support_vectors", np.float32)
    if len(vectors) != count * features or coefficients.shape[1] != count:
        raise node.error(
            f"{count} support vectors of {features} columns do not fit its lists of "
            f"{len(vectors)} values and {coefficients.shape[1]} coefficients"
        )
    kernel = node.attributes.get("kernel_type", "LINEAR")
    if kernel not in ("LINEAR", "POLY", "RBF", "SIGMOID"):
        raise node.error(f"its kernel '{kernel}' is not covered")
    given = node.array("kernel_params", np.float64)
    gamma, coef0, degree = np.r_[given, np.zeros(3)][:3].tolist()
    check_finite(node, vectors, coefficients, offsets, given)
    return SupportVectors(
        name=node.name,
        features=features,
        kernel=cast(Kernel, kernel),
        gamma=gamma,
        coef0=coef0,
        degree=degree,
        vectors=vectors.reshape(count, features),
        coefficients=coefficients,
        offsets=offsets,
    )
