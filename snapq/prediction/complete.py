"""A form of a model with a cost for every operator, where its own lacks some.

Qualcomm's compiler takes an ArgMax of codes together with what moves them, and has no cost for what
comes of it; for one over the rows of a matrix it has. The matrix costs a little more (3 % of
YOLO11n at w8a16), so that a prediction may rest on it, while a deployed model stays as it is.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor
from snapq.graph.inference import infer_shapes
from snapq.graph.shapes import static_shape

__all__ = ["SENTENCE", "completed"]

SENTENCE = (
    "Qualcomm's estimate has no cost for an ArgMax of codes in this form: the prediction rests on "
    "the same model with that ArgMax over the rows of a matrix, which has one."
)
_SEARCHES = ("ArgMax", "ArgMin")


def completed(model: ir.Model) -> ir.Model | None:
    """A copy in which each search of codes reads a matrix; None where there is none to change.

    `ArgMax(x, axis)` with x of shape [a, b, c] and axis 2 becomes `Reshape(ArgMax(Reshape(x, [a b,
    c]), 1), …)`; another axis is moved to the end before. Shapes must be static.
    """
    if not any(node.op_type in _SEARCHES and _of_codes(node) for node in model.graph):
        return None
    copy = model.clone()
    infer_shapes(copy)
    editor = Editor(copy.graph)
    found = [node for node in copy.graph if node.op_type in _SEARCHES and _of_codes(node)]
    found = [node for node in found if _rank(node) > 2]
    for node in found:
        _flatten(editor, node)
    return copy if found else None


def _rank(node: ir.Node) -> int:
    shape = None if node.inputs[0] is None else static_shape(node.inputs[0])
    return len(shape or ())


def _of_codes(node: ir.Node) -> bool:
    maker = None if node.inputs[0] is None else node.inputs[0].producer()
    return maker is not None and maker.op_type == "DequantizeLinear"


def _flatten(editor: Editor, node: ir.Node) -> None:
    data, indices = node.inputs[0], node.outputs[0]
    assert data is not None
    maker, shape = data.producer(), static_shape(data)
    assert maker is not None
    assert shape is not None
    axis = node.attributes.get_int("axis", 0) % len(shape)
    keeps = node.attributes.get_int("keepdims", 1)
    rest = [size for place, size in enumerate(shape) if place != axis]
    editor.begin(node)

    def coded(value: ir.Value) -> ir.Value:
        """Between two movements stand codes, as in all quantized models."""
        codes = editor.op("QuantizeLinear", value, *maker.inputs[1:], **_axes(maker))
        return editor.op("DequantizeLinear", codes, *maker.inputs[1:], **_axes(maker))

    moved = data
    if axis != len(shape) - 1:
        order = [place for place in range(len(shape)) if place != axis]
        moved = coded(editor.op("Transpose", data, perm=[*order, axis]))
    rows = np.array([prod(rest), shape[axis]], np.int64)
    matrix = coded(editor.op("Reshape", moved, rows))
    last = node.attributes.get_int("select_last_index", 0)
    found = editor.op(node.op_type, matrix, axis=1, keepdims=0, select_last_index=last)
    found.dtype = ir.DataType.INT64
    taken = [*shape[:axis], 1, *shape[axis + 1 :]] if keeps else rest
    editor.replace(indices, editor.op("Reshape", found, np.array(taken, np.int64)))
    editor.remove_if_dead(node)


def _axes(maker: ir.Node) -> dict[str, int]:
    return {"axis": maker.attributes.get_int("axis", 1)} if "axis" in maker.attributes else {}
