"""Takes dynamic quantization out of a model: its float form, with weights as their integers say.

`quantize_dynamic` of ONNX Runtime measures activations as the model runs (DynamicQuantizeLinear)
and multiplies integers (ConvInteger, MatMulInteger). The NPU has none of it, and needs none: it
takes ranges that are measured before.

Sources: ONNX DynamicQuantizeLinear-11, ConvInteger-10 and MatMulInteger-10, and the contributed
operators of ONNX Runtime (domain com.microsoft) that its quantizer and optimizer write.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at, is_op, is_used, remove_dead_nodes
from snapq.graph.shapes import forget_shapes

__all__ = ["remove_dynamic_quantization"]

_MEASURED = "DynamicQuantizeLinear"


def remove_dynamic_quantization(model: ir.Model) -> int:
    """Puts float operators in the place of those that quantize dynamically, in place.

    1. Integers of an activation are the activation, its scale is 1 and its zero point 0; integers
       that are looked up in a table are those less the zero point.
    2. ConvInteger and MatMulInteger are Conv and MatMul of the weights' integers less their zero
       point; their scales follow in the model as they are.
    3. A bias that is brought to integers in front of the sum stays as it was.
    4. DynamicQuantizeMatMul, DynamicQuantizeLSTM and MatMulIntegerToFloat are MatMul, LSTM and
       MatMul of the weights that integers and scales stand for.

    What computes with weights that are not constant is left as it is.

    Returns:
        The number of operators that multiplied integers.
    """
    edit, count = Editor(model.graph), 0
    for node in tuple(model.graph):
        rewrite = _REWRITES.get(node.op_type)
        if rewrite is None:
            continue
        edit.begin(node)
        count += rewrite(node, edit)
    if not count:
        return 0
    forget_shapes(model)
    for node in tuple(model.graph):
        if is_op(node, _MEASURED):
            _drop_measure(node, edit)
    remove_dead_nodes(model.graph)
    return count


def _sum(node: ir.Node, edit: Editor) -> bool:
    """ConvInteger or MatMulInteger as Conv or MatMul."""
    operands = [_real(node, place, edit) for place in (0, 1)]
    if any(operand is None for operand in operands):
        return False
    float_type = node.op_type.removesuffix("Integer")
    attributes = dict(node.attributes)
    result = edit.op(float_type, *operands)
    maker = result.producer()
    assert maker is not None
    maker.attributes.update(attributes)
    _replace(node, result, edit)
    for user in tuple(result.consumers()):
        if user.op_type == "Add":
            _keep_bias(user, result, edit)
    return True


def _real(node: ir.Node, place: int, edit: Editor) -> ir.Value | np.ndarray | None:
    """An operand of an integer product as real numbers, at a scale of 1."""
    value = node.inputs[place]
    maker = value.producer() if value is not None else None
    if maker is not None and is_op(maker, _MEASURED):
        return maker.inputs[0]
    looked_up = maker if maker is not None and is_op(maker, "Gather") else None
    array = constant(looked_up.inputs[0] if looked_up is not None else value)
    if array is None:
        return None
    zero = constant(input_at(node, place + 2))
    if input_at(node, place + 2) is not None and zero is None:
        return None
    if looked_up is not None:
        if zero is not None and zero.size != 1:
            return None
        axis = looked_up.attributes.get_int("axis", 0)
        return edit.op("Gather", _less(array, zero, 0), looked_up.inputs[1], axis=axis)
    return _less(array, zero, 0 if node.op_type == "ConvInteger" else -1)


def _less(array: np.ndarray, zero: np.ndarray | None, axis: int) -> np.ndarray:
    """Integers less their zero point, which is one or one a channel."""
    real = array.astype(np.float32)
    if zero is None:
        return real
    numbers = zero.astype(np.float32)
    if numbers.ndim == 1 and numbers.size > 1:
        shape = [1] * real.ndim
        shape[axis] = -1
        numbers = numbers.reshape(shape)
    return real - (numbers.reshape(()) if numbers.size == 1 else numbers)


def _keep_bias(add: ir.Node, result: ir.Value, edit: Editor) -> None:
    """Takes a bias as it was before it was divided by the scales and rounded."""
    place = 1 if add.inputs[0] is result else 0
    bias = add.inputs[place]
    maker = bias.producer() if bias is not None else None
    reshape = maker if maker is not None and maker.op_type == "Reshape" else None
    cast = reshape.inputs[0].producer() if reshape is not None and reshape.inputs[0] else maker
    rounding = cast.inputs[0].producer() if cast is not None and cast.inputs[0] else None
    if cast is not None and cast.op_type == "Cast" and rounding is not None:
        real = rounding.inputs[0] if rounding.op_type in ("Floor", "Round") else cast.inputs[0]
        if reshape is not None:
            reshape.replace_input_with(0, real)
            reshape.outputs[0].type = None
        else:
            add.replace_input_with(place, real)
    elif (array := constant(bias)) is not None:
        edit.begin(add)
        edit.set_constant(add, place, array.astype(np.float32))
    add.outputs[0].type = None


def _product(node: ir.Node, edit: Editor) -> bool:
    """DynamicQuantizeMatMul or MatMulIntegerToFloat as MatMul."""
    measured = node.op_type == "DynamicQuantizeMatMul"
    scale, zero, bias = (2, 3, 4) if measured else (3, 5, 6)
    weight, factor = constant(node.inputs[1]), constant(input_at(node, scale))
    if weight is None or factor is None:
        return False
    data = node.inputs[0]
    if not measured:
        maker = data.producer() if data is not None else None
        if maker is None or not is_op(maker, _MEASURED):
            return False
        data = maker.inputs[0]
    real = _less(weight, constant(input_at(node, zero)), -1) * factor.astype(np.float32)
    result = edit.op("MatMul", data, real)
    if input_at(node, bias) is not None:
        result = edit.op("Add", result, input_at(node, bias))
    _replace(node, result, edit)
    return True


def _lstm(node: ir.Node, edit: Editor) -> bool:
    """DynamicQuantizeLSTM, whose weights are transposed, as LSTM."""
    real = []
    for place, scale, zero in ((1, 8, 9), (2, 10, 11)):
        array, factor = constant(node.inputs[place]), constant(input_at(node, scale))
        if array is None or factor is None:
            return False
        numbers = constant(input_at(node, zero))
        columns = (len(array), 1, -1)
        shift = 0.0 if numbers is None else numbers.astype(np.float32).reshape(columns)
        weights = (array.astype(np.float32) - shift) * factor.astype(np.float32).reshape(columns)
        real.append(np.ascontiguousarray(weights.transpose(0, 2, 1)))
    others = [input_at(node, place) for place in range(3, 8)]
    while others and others[-1] is None:
        others.pop()
    results = edit.ops("LSTM", node.inputs[0], *real, *others, outputs=len(node.outputs))
    maker = results[0].producer()
    assert maker is not None
    maker.attributes.update(node.attributes)
    for old, new in zip(node.outputs, results, strict=True):
        if is_used(old):
            edit.replace(old, new)
    edit.remove_if_dead(node)
    return True


def _replace(node: ir.Node, result: ir.Value, edit: Editor) -> None:
    result.type = ir.TensorType(ir.DataType.FLOAT)
    edit.replace(node.outputs[0], result)
    edit.remove_if_dead(node)


def _drop_measure(node: ir.Node, edit: Editor) -> None:
    """Puts 1 and 0 in the place of the scale and zero point that nothing needs any more."""
    edit.begin(node)
    if node.outputs[0].uses():
        return
    for output, number in zip(node.outputs[1:], (np.float32(1), np.uint8(0)), strict=True):
        if output.uses():
            edit.replace(output, edit.constant(np.asarray(number), str(output.name)))
    edit.remove_if_dead(node)


_REWRITES: dict[str, Callable[[ir.Node, Editor], bool]] = {
    "ConvInteger": _sum,
    "MatMulInteger": _sum,
    "DynamicQuantizeMatMul": _product,
    "MatMulIntegerToFloat": _product,
    "DynamicQuantizeLSTM": _lstm,
}
