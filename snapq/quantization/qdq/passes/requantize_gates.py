"""Gives the gate of a 16-bit SiLU an encoding of its own to read, where the NPU's kernel is wrong.

Of `x * Sigmoid(k x)` the compiler makes one kernel. At 16 bits it leaves part of its output
unwritten for maps of 9 to 12 rows, and for those of 9 rows or more with up to 8 columns and up to
32 channels, whatever makes x: 46 dB become 1 to 7 (simulator of QAIRT 2.51, v68 to v85). Where the
Sigmoid reads x in another encoding, the two stay apart and are right: 46 dB for 8 to 14 % more time
by Qualcomm's estimate for QCS9075.
"""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir

from snapq.graph.edit import constant_operand, is_op
from snapq.graph.shapes import static_shape
from snapq.quantization.encodings import asymmetric
from snapq.quantization.qdq.plan import QdqPlan

__all__ = ["requantize_gates"]

_ROWS = range(9, 13)
_NARROW, _FEW = 8, 32
"""Columns and channels up to which every map of 9 rows or more is wrong."""
_WIDER = 1 + 2.0**-10
"""Any other encoding will do, and this one costs 0.01 dB."""


def requantize_gates(plan: QdqPlan) -> QdqPlan:
    """Encodings for the Sigmoids of such SiLUs to read; others are read as they are held."""
    uses = dict(plan.uses)
    for node, decision in plan.decisions.items():
        value = node.inputs[0] if node.op_type == "Sigmoid" else None
        if value is None or decision.dtype is None or decision.dtype.bits <= 8:
            continue
        held = plan.read(node, 0)
        if held is not None and _is_gate(node) and _unwritten(static_shape(value)):
            low, high = float(held.minimum), float(held.maximum)
            uses[node, 0] = asymmetric(low * _WIDER, high * _WIDER, held.dtype)
    return replace(plan, uses=uses)


def _is_gate(sigmoid: ir.Node) -> bool:
    """Whether a product takes what the Sigmoid gives and, but for a factor, what it reads."""
    gate, source = sigmoid.outputs[0], _unscaled(sigmoid.inputs[0])
    return any(
        _unscaled(other) is source
        for user, _ in gate.uses()
        if is_op(user, "Mul")
        for other in user.inputs
        if other is not gate
    )


def _unscaled(value: ir.Value | None) -> ir.Value | None:
    """What a value is a multiple of."""
    while value is not None and (node := value.producer()) is not None:
        if is_op(node, "Neg"):
            value = node.inputs[0]
            continue
        found = constant_operand(node) if is_op(node, "Mul", "Div") else None
        if found is None or found[1].size != 1:
            break
        value = found[0]
    return value


def _unwritten(shape: tuple[int, ...] | None) -> bool:
    """Whether the kernel is wrong for a tensor, with its channels first or last."""
    if shape is None or len(shape) < 3:
        return False
    if len(shape) == 3:
        return _wrong_map(*shape)
    first, last = (shape[2], shape[3], shape[1]), shape[1:]
    return len(shape) == 4 and (_wrong_map(*first) or _wrong_map(*last))


def _wrong_map(rows: int, columns: int, channels: int) -> bool:
    return rows in _ROWS or (rows >= _ROWS[0] and columns <= _NARROW and channels <= _FEW)
