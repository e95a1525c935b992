"""A form of a model with a cost for every operator, where its own lacks some.

Qualcomm's estimate has no cost for some operators on codes: an ArgMax together with what moves its
input, HardSigmoid and HardSwish of 16 bits. Other forms of them have one and take a little longer
(3 % of YOLO11n at w8a16), so that a prediction may rest on them, while a deployed model stays as it
is.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor
from snapq.graph.inference import infer_shapes
from snapq.graph.shapes import static_shape

__all__ = ["SENTENCE", "completed"]

SENTENCE = (
    "Qualcomm's estimate lacks the cost of an operator on codes here (ArgMax, HardSigmoid or "
    "HardSwish): the prediction rests on the same model with that operator in another form, which "
    "has one."
)


def completed(model: ir.Model) -> ir.Model | None:
    """A copy with other forms of such operators; None where there is none to change.

    - An ArgMax or ArgMin of more than two axes searches the rows of a matrix, with its axis moved
      to the end.
    - HardSigmoid is a product and a sum, and HardSwish is their product with its input.

    Shapes and encodings must be constants.
    """
    if not any(_form(node) for node in model.graph):
        return None
    copy = model.clone()
    infer_shapes(copy)
    editor = Editor(copy.graph)
    changed = False
    for node in list(copy.graph):
        form = _form(node)
        if form is not None and form(editor, node):
            editor.remove_if_dead(node)
            changed = True
    return copy if changed else None


def _form(node: ir.Node) -> Callable[[Editor, ir.Node], bool] | None:
    """What writes another form of a node on codes."""
    form = _FORMS.get(node.op_type)
    maker = node.inputs[0].producer() if form is not None and node.inputs[0] is not None else None
    return form if maker is not None and maker.op_type == "DequantizeLinear" else None


def _as_rows(editor: Editor, node: ir.Node) -> bool:
    data = node.inputs[0]
    assert data is not None
    shape = static_shape(data)
    if shape is None or len(shape) <= len(("rows", "columns")):
        return False
    editor.begin(node)
    axis = node.attributes.get_int("axis", 0) % len(shape)
    rest = [size for place, size in enumerate(shape) if place != axis]
    moved = data
    if axis != len(shape) - 1:
        order = [place for place in range(len(shape)) if place != axis]
        moved = _coded(editor, data, editor.op("Transpose", data, perm=[*order, axis]))
    rows = np.array([prod(rest), shape[axis]], np.int64)
    matrix = _coded(editor, data, editor.op("Reshape", moved, rows))
    last = node.attributes.get_int("select_last_index", 0)
    found = editor.op(node.op_type, matrix, axis=1, keepdims=0, select_last_index=last)
    found.dtype = ir.DataType.INT64
    if node.attributes.get_int("keepdims", 1):
        rest.insert(axis, 1)
    editor.replace(node.outputs[0], editor.op("Reshape", found, np.array(rest, np.int64)))
    return True


def _coded(editor: Editor, like: ir.Value, value: ir.Value) -> ir.Value:
    """A value through codes of the encoding that another one has."""
    maker = like.producer()
    assert maker is not None
    return _through(editor, value, *maker.inputs[1:])


def _through(editor: Editor, value: ir.Value, *encoding: ir.Value | np.ndarray | None) -> ir.Value:
    codes = editor.op("QuantizeLinear", value, *encoding)
    return editor.op("DequantizeLinear", codes, *encoding)


def _as_line(editor: Editor, node: ir.Node) -> bool:
    slope = node.attributes.get_float("alpha", 0.2)
    line = _line(editor, node, slope, node.attributes.get_float("beta", 0.5))
    if line is not None:
        editor.replace(node.outputs[0], line)
    return line is not None


def _as_gate(editor: Editor, node: ir.Node) -> bool:
    line = _line(editor, node, 1 / 6, 0.5)
    if line is None:
        return False
    zero = np.zeros((), _codes_of(node).dtype)
    gate = _through(editor, line, np.array(1 / np.iinfo(zero.dtype).max, np.float32), zero)
    editor.replace(node.outputs[0], editor.op("Mul", node.inputs[0], gate))
    return True


def _codes_of(node: ir.Node) -> np.ndarray:
    """The zero point of a node's input."""
    assert node.inputs[0] is not None
    maker = node.inputs[0].producer()
    assert maker is not None
    zero = maker.inputs[2] if len(maker.inputs) > 2 else None
    found = None if zero is None else zero.const_value
    return np.zeros((), np.uint8) if found is None else found.numpy()


def _line(editor: Editor, node: ir.Node, slope: float, offset: float) -> ir.Value | None:
    """`slope * x + offset`; the encoding behind it cuts that off below 0 and above 1."""
    data = node.inputs[0]
    assert data is not None
    maker = data.producer()
    assert maker is not None
    scale = None if maker.inputs[1] is None else maker.inputs[1].const_value
    if scale is None or scale.numpy().ndim:
        return None
    editor.begin(node)
    zero = _codes_of(node)

    def number(value: float) -> ir.Value:
        half = np.array(np.iinfo(zero.dtype).max // 2, zero.dtype)
        nothing = np.zeros((), zero.dtype)
        return editor.op("DequantizeLinear", half, np.array(value / half, np.float32), nothing)

    product = editor.op("Mul", data, number(slope))
    product = _through(editor, product, np.array(scale.numpy() * slope, np.float32), zero)
    return editor.op("Add", product, number(offset))


_FORMS: dict[str, Callable[[Editor, ir.Node], bool]] = {
    "ArgMax": _as_rows,
    "ArgMin": _as_rows,
    "HardSigmoid": _as_line,
    "HardSwish": _as_gate,
}
