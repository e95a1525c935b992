"""A picture that is enlarged last of all, by products with matrices of weights.

1. `Resize(x)` with linear mode, of the last two of four axes, of which only a graph output is made
   through element-wise operators, becomes `((xᵀ @ Wʰ)ᵀ) @ Wʷ`, one product for each axis.
2. What is between has the encoding of x: means of neighbours are no larger than these. The weights
   are codes of 8 bits, exact ones where the scale has a small denominator.

The NPU resizes with channels last, and turns the whole large picture round for an output with
channels first, which takes longest of all at 16 bits. Products give it channels first. Estimated in
us on QCS9075 and SA8797P (QAIRT 2.51), 21 channels of 130 x 130 to 520 x 520 behind a Conv: w8a8
658 and 239 against 268 and 181, w8a16 9,609 and 607 against 1,995 and 269, fp16 2,613 and 1,048
against 1,301 and 562.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, integers, is_float, is_op
from snapq.graph.passes.npu_workarounds.lower_linear_resize import sample_weights
from snapq.graph.shapes import Shape, static_shape
from snapq.npu.judged.codes import CODES, coded
from snapq.npu.judged.copies import changed_copy
from snapq.operators import Trait, having

__all__ = ["apply", "sites"]

_RANK = 4
_MOST_CODE = 127
_ELEMENTWISE = having(Trait.ELEMENTWISE)
Array = np.ndarray
_TURN = [0, 1, 3, 2]


def sites(model: ir.Model) -> tuple[str, ...]:
    """Names of the Resizes that `apply` can write as products."""
    return tuple(str(node.name) for node in model.graph if _weights(node) is not None)


def apply(model: ir.Model, names: Collection[str]) -> ir.Model:
    """A copy in which these Resizes are products.

    Args:
        model: a float or a Q/DQ model with fixed shapes.
        names: out of `sites`; others are left as they are.
    """
    return changed_copy(model, names, _change)


def _change(node: ir.Node, edit: Editor) -> None:
    found = _weights(node)
    if found is not None:
        _rewrite(node, found, edit)


def _weights(node: ir.Node) -> tuple[Array, Array] | None:
    """The weights along rows and columns, `[size, results]`; None where a node is not meant."""
    if not is_op(node, "Resize") or not is_float(node.inputs[0]):
        return None
    shape, made = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    if shape is None or made is None or len(shape) != _RANK or shape[:2] != made[:2]:
        return None
    if any(after <= before for before, after in zip(shape[2:], made[2:], strict=True)):
        return None
    found = sample_weights(node) if _leaves(node) else None
    return None if found is None else (found[2], found[3])


def _leaves(node: ir.Node) -> bool:
    """Whether nothing but one graph output is made of a node's output, value by value."""
    value = node.outputs[0]
    while not value.is_graph_output():
        uses = list(value.uses())
        if len(uses) != 1 or len(uses[0].node.outputs) != 1:
            return False
        user = uses[0].node
        if user.op_type not in (*CODES, *_ELEMENTWISE) or uses[0].idx != 0:
            return False
        value = user.outputs[0]
    return not value.uses()


def _rewrite(node: ir.Node, weights: tuple[Array, Array], edit: Editor) -> None:
    """Writes one Resize as products, in place."""
    source, shape = node.inputs[0], static_shape(node.inputs[0])
    assert source is not None
    assert shape is not None
    edit.begin(node)
    rows, columns = weights
    height, width = rows.shape[1], columns.shape[1]
    turned = coded(edit.op("Transpose", source, perm=_TURN), source, edit)
    high = _product(turned, rows, (*shape[:2], shape[3], height), source, edit)
    back = coded(edit.op("Transpose", coded(high, source, edit), perm=_TURN), source, edit)
    edit.replace(
        node.outputs[0], _product(back, columns, (*shape[:2], height, width), source, edit)
    )
    edit.remove_if_dead(node)


def _product(
    source: ir.Value, weights: Array, shape: Shape, like: ir.Value, edit: Editor
) -> ir.Value:
    """`source @ weights` of this shape, without an encoding behind it."""
    rows = coded(edit.op("Reshape", source, integers(-1, weights.shape[0])), like, edit)
    encoded = like.producer()
    quantized = encoded is not None and encoded.op_type == "DequantizeLinear"
    operand = _codes(weights, edit) if quantized else edit.constant(weights.T, "resize_weights")
    made = edit.op("Gemm", rows, operand, transB=1)
    return edit.op("Reshape", coded(made, like, edit), integers(*shape))


def _codes(weights: Array, edit: Editor) -> ir.Value:
    """Weights of 0 to 1 as codes of 8 bits, `[results, size]`, exact ones where there are such."""
    tolerance = 1e-4
    scale = next(
        (
            1 / count
            for count in range(_MOST_CODE, 0, -1)
            if np.all(np.abs(weights * count - np.round(weights * count)) < tolerance)
        ),
        1 / _MOST_CODE,
    )
    codes = np.round(weights.T / scale).astype(np.int8)
    made = edit.op(
        "DequantizeLinear",
        edit.constant(codes, "resize_weights"),
        np.array(scale, np.float32),
        np.array(0, np.int8),
    )
    made.type = ir.TensorType(ir.DataType.FLOAT)
    return made
