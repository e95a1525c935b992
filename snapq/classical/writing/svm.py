"""Probabilities of pairs of classes, coupled in a Loop of ONNX."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from snapq.classical.program import Step
from snapq.classical.program.steps.svm import LOOPS, tolerance
from snapq.classical.writing.steps import names
from snapq.classical.writing.writer import Writer, writes

_FLOAT, _BOOL, _INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.BOOL, onnx.TensorProto.INT64


@writes("couple_pairs")
def write_couple_pairs(writer: Writer, step: Step) -> None:
    """Writes what `couple_pairs` computes; see there."""
    inputs, outputs = names(writer, step)
    classes = int(step.attributes["classes"])
    q, diagonal = _quadratic_form(writer, inputs[0], classes)
    rows = writer.add("Slice", writer.add("Shape", inputs[0]), *_range(writer, 0, 1))
    width = writer.constant(np.array([classes, 1], np.int64))
    equal = writer.constant(np.full((1, classes, 1), 1 / classes, np.float32))
    start = writer.add("Expand", equal, writer.add("Concat", rows, width, axis=0))
    body = _body(classes, q, diagonal)
    loops, go_on = writer.constant(np.int64(LOOPS)), writer.constant(np.bool_(True))
    found = writer.add("Loop", loops, go_on, start, body=body)
    last = writer.constant(np.array([2], np.int64))
    writer.add("Squeeze", found, last, outputs=outputs)


def _range(writer: Writer, start: int, end: int) -> tuple[str, str]:
    """The two inputs of a Slice along the first axis."""
    first = writer.constant(np.array([start], np.int64))
    return first, writer.constant(np.array([end], np.int64))


def _quadratic_form(writer: Writer, pairs: str, classes: int) -> tuple[str, str]:
    """Q float32 [N, K, K] of the pairs, and its diagonal [N, K, 1]."""
    first, second = np.triu_indices(classes, 1)
    above = np.zeros((len(first), classes * classes), np.float32)
    above[np.arange(len(first)), first * classes + second] = 1
    below = np.zeros_like(above)
    below[np.arange(len(first)), second * classes + first] = 1
    shape = writer.constant(np.array([-1, classes, classes], np.int64))

    def table(values: str, places: NDArray[np.float32]) -> str:
        return writer.add("Reshape", writer.add("MatMul", values, writer.constant(places)), shape)

    one = writer.constant(np.float32(1))
    others = writer.add("Sub", one, pairs)
    against = writer.add("Add", table(pairs, above), table(others, below))
    turned = writer.add("Transpose", against, perm=[0, 2, 1])
    squares = writer.add("Mul", turned, turned)
    axis = writer.constant(np.array([2], np.int64))
    diagonal = writer.add("ReduceSum", squares, axis, keepdims=1)
    eye = writer.constant(np.eye(classes, dtype=np.float32)[None])
    crossed = writer.add("Neg", writer.add("Mul", turned, against))
    return writer.add("Add", crossed, writer.add("Mul", diagonal, eye)), diagonal


def _body(classes: int, q: str, diagonal: str) -> onnx.GraphProto:
    """One loop: rows that are near enough stay as they are; it ends when all are."""
    writer = Writer("b")
    writer.keep(["loop", "before", "p"])
    axis = writer.constant(np.array([1], np.int64))
    qp = writer.add("MatMul", q, "p")
    pqp = writer.add("ReduceSum", writer.add("Mul", "p", qp), axis, keepdims=1)
    error = writer.add("Abs", writer.add("Sub", qp, pqp))
    worst = writer.add("ReduceMax", error, axis, keepdims=1)
    near = writer.add("Less", worst, writer.constant(tolerance(classes)))
    guess, one, two = "p", writer.constant(np.float32(1)), writer.constant(np.float32(2))
    for i in range(classes):
        which = writer.constant(np.array([i], np.int64))
        own = writer.add("Gather", diagonal, which, axis=1)
        at = writer.add("Gather", qp, which, axis=1)
        diff = writer.add("Div", writer.add("Sub", pqp, at), own)
        unit = np.zeros((1, classes, 1), np.float32)
        unit[0, i] = 1
        moved = writer.add("Add", guess, writer.add("Mul", diff, writer.constant(unit)))
        grown = writer.add("Add", one, diff)
        twice = writer.add("Add", writer.add("Mul", diff, own), writer.add("Mul", two, at))
        more = writer.add("Add", pqp, writer.add("Mul", diff, twice))
        pqp = writer.add("Div", writer.add("Div", more, grown), grown)
        column = writer.add("Gather", q, which, axis=2)
        qp = writer.add("Div", writer.add("Add", qp, writer.add("Mul", diff, column)), grown)
        guess = writer.add("Div", moved, grown)
    writer.add("Where", near, "p", guess, outputs=["after"])
    far = writer.add("Cast", writer.add("Not", near), to=_FLOAT)
    any_far = writer.add("ReduceMax", far, keepdims=0)
    writer.add("Greater", any_far, writer.constant(np.float32(0)), outputs=["go on"])
    return helper.make_graph(
        writer.nodes,
        "couple",
        [
            helper.make_tensor_value_info("loop", _INT64, []),
            helper.make_tensor_value_info("before", _BOOL, []),
            helper.make_tensor_value_info("p", _FLOAT, [None, classes, 1]),
        ],
        [
            helper.make_tensor_value_info("go on", _BOOL, []),
            helper.make_tensor_value_info("after", _FLOAT, [None, classes, 1]),
        ],
        list(writer.constants.values()),
    )
