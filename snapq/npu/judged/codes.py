"""Values with the encodings that others have."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at
from snapq.graph.head_moves import only_user

__all__ = ["CODES", "coded", "codes_behind", "dequantized", "moved", "operand", "recoded"]

Array = np.ndarray

CODES = ("QuantizeLinear", "DequantizeLinear")


def coded(value: ir.Value, like: ir.Value, edit: Editor) -> ir.Value:
    """A value with the encoding that another has; as it is where that has none."""
    maker = like.producer()
    if maker is None or maker.op_type != "DequantizeLinear":
        return value
    encoding = maker.inputs[1:]
    codes = edit.op("QuantizeLinear", value, *encoding)
    held = maker.inputs[0]
    codes.type = held.type if held is not None else None
    _with_attributes(codes, maker)
    real = edit.op("DequantizeLinear", codes, *encoding)
    real.type = like.type
    _with_attributes(real, maker)
    return real


def codes_behind(value: ir.Value) -> ir.Value | None:
    """The value as its encoding gives it back; None where it has none."""
    user = only_user(value)
    if user is None or user.op_type != "QuantizeLinear":
        return None
    readers = [use.node for use in user.outputs[0].uses()]
    return next((one.outputs[0] for one in readers if one.op_type == "DequantizeLinear"), None)


def dequantized(codes: ir.Value, like: ir.Node, edit: Editor) -> ir.Value:
    """What codes stand for in the encoding of a DequantizeLinear."""
    real = edit.op("DequantizeLinear", codes, *like.inputs[1:])
    real.type = like.outputs[0].type
    return real


def _with_attributes(made: ir.Value, like: ir.Node) -> None:
    maker = made.producer()
    assert maker is not None
    for name, attribute in like.attributes.items():
        if name in ("axis", "block_size"):
            maker.attributes[name] = attribute


def recoded(value: ir.Value, move: ir.Node, edit: Editor) -> ir.Value:
    """A value with the encoding that a DequantizeLinear behind it has, where it has another."""
    maker = value.producer()
    if maker is not None and list(maker.inputs[1:]) == list(move.inputs[1:]):
        return value
    if maker is not None and _same_numbers(maker, move):
        return value
    return coded(value, move.outputs[0], edit)


def _same_numbers(one: ir.Node, other: ir.Node) -> bool:
    """Whether two nodes have the same encoding, by its numbers."""
    if one.op_type != "DequantizeLinear":
        return False
    for index in (1, 2):
        mine, yours = constant(input_at(one, index)), constant(input_at(other, index))
        if mine is None or yours is None:
            if mine is not yours:
                return False
        elif mine.dtype != yours.dtype or not np.array_equal(mine, yours):
            return False
    return True


def operand(value: ir.Value) -> tuple[Array, Array | None, Array | None] | None:
    """The numbers of a constant, or its codes with the scale and zero point of them.

    None where a value is no constant, or is encoded along another axis than the first.
    """
    if (numbers := constant(value)) is not None:
        return numbers, None, None
    maker = value.producer()
    if maker is None or maker.op_type != CODES[1] or "block_size" in maker.attributes:
        return None
    codes, scale, zero = (constant(input_at(maker, index)) for index in range(3))
    if codes is None or scale is None or (zero is None and input_at(maker, 2) is not None):
        return None
    if scale.size > 1 and codes.ndim > 1 and maker.attributes.get_int("axis", 1) != 0:
        return None
    return codes, scale, np.zeros(scale.shape, codes.dtype) if zero is None else zero


def moved(value: ir.Value, numbers: Array, times: int, edit: Editor) -> ir.Value:
    """Other constants in the encoding that a constant has, `times` as many along the first axis."""
    found = operand(value)
    assert found is not None
    held = edit.constant(numbers, f"{value.name}_moved")
    _, scale, zero = found
    if scale is None or zero is None:
        return held
    many = [one.reshape(()) if one.size == 1 else np.tile(one, times) for one in (scale, zero)]
    real = edit.op("DequantizeLinear", held, *many, axis=0)
    real.type = value.type
    return real
