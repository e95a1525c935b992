"""What makes scores and labels of an estimator's sums, as steps with ONNX Runtime's arithmetic."""

from __future__ import annotations

from typing import cast

import numpy as np

from snapq.classical.ensemble import PostTransform
from snapq.classical.reading.graph import Array, Node
from snapq.classical.reading.reader import Reader

Labels = tuple[int, ...] | tuple[str, ...]
FLOAT32, INT64, FLOAT64 = 1, 7, 11
"""Numbers of element types in ONNX."""
_POST_TRANSFORMS = ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT")


def post_transform(node: Node) -> PostTransform:
    """The attribute `post_transform`.

    Raises:
        ModelError: it is none of those that ONNX has.
    """
    name = node.attributes.get("post_transform", "NONE")
    if name not in _POST_TRANSFORMS:
        raise node.error(f"its post_transform '{name}' is not covered")
    return cast(PostTransform, name)


def class_labels(node: Node, *names: str) -> Labels:
    """The labels of a classifier, numbers or text.

    Raises:
        ModelError: there are fewer than two.
    """
    for name in ("classlabels_strings", *names):
        labels = node.attributes.get(name)
        if labels:
            break
    else:
        raise node.error("it names no classes")
    if len(labels) < 2:
        raise node.error(
            "it knows one class only",
            hint="A classifier that always gives the same answer needs no NPU.",
        )
    return tuple(str(label) for label in labels) if name.endswith("strings") else tuple(labels)


def label_values(labels: Labels) -> Array:
    """Labels as an array that a step can take entries of."""
    return np.array(labels, np.str_ if isinstance(labels[0], str) else np.int64)


def pick_label(reader: Reader, labels: Array, index: str, output: str) -> None:
    """Adds the step that gives the label [N] of an index [N]."""
    reader.add("Gather", reader.constant(labels), index, attributes={"axis": 0}, outputs=[output])


def pick_by_sign(reader: Reader, labels: Array, score: str, output: str) -> None:
    """Adds the steps that give the second of two labels [N] where a score [N, 1] is above 0.

    The score is made flat first: ONNX Runtime compares a column with a number in ten times the time
    that it takes for a list.
    """
    flat = reader.add("Reshape", score, reader.constant(np.array([-1], np.int64)))
    above = reader.add("Greater", flat, reader.constant(np.float32(0)))
    if labels.dtype.kind == "U":
        index = reader.add("Cast", above, attributes={"to": INT64})
        pick_label(reader, labels, index, output)
    else:
        first, second = (reader.constant(label) for label in labels)
        reader.add("Where", above, second, first, outputs=[output])


def best_class(reader: Reader, scores: str) -> str:
    """Adds the step that gives the index int64 [N] of the largest score [N, K]."""
    return reader.add("ArgMax", scores, attributes={"axis": 1, "keepdims": 0})


def two_columns(reader: Reader, score: str, post: PostTransform, *, whole: bool) -> str:
    """Adds the steps that make two scores [N, 2] of one [N, 1].

    Args:
        reader: takes the steps.
        score: the name of the score of the second class.
        post: the post transform; only LOGISTIC counts.
        whole: whether the two add up to 1 (else to 0).
    """
    if post == "LOGISTIC":
        sides = reader.add("Neg", score)
        return reader.add("Sigmoid", side_by_side(reader, sides, score))
    if whole:
        other = reader.add("Sub", reader.constant(np.ones((1, 1), np.float32)), score)
    else:
        other = reader.add("Neg", score)
    return side_by_side(reader, other, score)


def side_by_side(reader: Reader, *columns: str) -> str:
    """Adds the step that puts columns [N, …] beside each other."""
    return reader.add("Concat", *columns, attributes={"axis": 1})


def transform(reader: Reader, scores: str, post: PostTransform) -> str:
    """Adds the steps of a post transform over rows of scores float32 [N, K]."""
    if post == "LOGISTIC":
        return reader.add("Sigmoid", scores)
    if post == "SOFTMAX":
        return reader.add("Softmax", scores, attributes={"axis": 1})
    if post == "SOFTMAX_ZERO":
        return _softmax_zero(reader, scores)
    if post == "PROBIT":
        return _probit(reader, scores)
    return scores


def _softmax_zero(reader: Reader, scores: str) -> str:
    """A softmax that leaves scores of 0 out."""
    axes = reader.constant(np.array([1], np.int64))
    top = reader.add("ReduceMax", scores, axes, attributes={"keepdims": 1})
    limit = reader.constant(np.float32(1e-7))
    counts = reader.add("Greater", reader.add("Abs", scores), limit)
    powers = reader.add("Exp", reader.add("Sub", scores, top))
    small = reader.add("Mul", scores, reader.add("Exp", reader.add("Neg", top)))
    zero = reader.constant(np.float32(0))
    counted = reader.add("Where", counts, powers, zero)
    total = reader.add("ReduceSum", counted, axes, attributes={"keepdims": 1})
    return reader.add("Div", reader.add("Where", counts, powers, small), total)


def _probit(reader: Reader, scores: str) -> str:
    """ONNX Runtime's approximation of the inverse of the normal distribution."""

    def number(value: float) -> str:
        return reader.constant(np.float32(value))

    x = reader.add("Sub", reader.add("Mul", scores, number(2)), number(1))
    sides = reader.add("Mul", reader.add("Sub", number(1), x), reader.add("Add", number(1), x))
    log = reader.add("Log", sides)
    half = reader.add("Mul", log, number(0.5))
    v = reader.add("Add", half, number(2 / (3.14159 * 0.147)))
    v2 = reader.add("Mul", log, number(1 / 0.147))
    root = reader.add("Sqrt", reader.add("Sub", reader.add("Mul", v, v), v2))
    size = reader.add("Sqrt", reader.add("Sub", root, v))
    below = reader.add("Less", x, number(0))
    sign = reader.add("Where", below, number(-1), number(1))
    return reader.add("Mul", reader.add("Mul", sign, size), number(1.41421356))
