"""Checks of node units: complete, of one type, and with what follows them."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from snapq.operators import Encodings, Role
from snapq.quantization.lint.checks.base import DEQUANTIZE, QUANTIZE, Check, Finding, View
from snapq.quantization.precision_rules.legality import legal, legal_slope, weightless
from snapq.quantization.qdq.decisions import is_depthwise, is_float

__all__ = ["CHECKS"]

_FLOAT = "the NPU runs it in float, or it falls to the CPU"


def incomplete_unit(view: View, node: ir.Node) -> Iterator[Finding]:
    """Each data input comes from a DQ and each output goes to a Q, or none does."""
    rule = view.rule(node)
    if rule is None or not view.touched(node) or _clamps(view, node):
        return
    if node.op_type == "PRelu" and not _slopes_in_integers(view, node):
        return
    bare = [value for _, value in view.data(node) if is_float(value) and not view.reader(value)]
    if rule.encodings is not Encodings.READ:
        bare += [v for v in node.outputs if is_float(v) and v.uses() and not _quantized(view, v)]
    if bare:
        names = ", ".join(f"'{value.name}'" for value in bare)
        yield Finding(
            str(node.name),
            "incomplete-unit",
            f"{node.op_type} is quantized in part: {names} has no Q/DQ, so {_FLOAT}.",
            "Quantize all its data inputs and outputs, or none.",
        )


def forked_output(view: View, node: ir.Node) -> Iterator[Finding]:
    """What a quantized node gives goes to Q only, and is no graph output."""
    if view.rule(node) is None or not view.touched(node):
        return
    for value in node.outputs:
        takers = view.quantizers(value)
        if takers and (len(takers) < len(value.uses()) or value.is_graph_output()):
            yield Finding(
                str(node.name),
                "forked-output",
                f"'{value.name}' goes to a QuantizeLinear and elsewhere, so {_FLOAT}.",
                "Let the other readers take it from the DequantizeLinear.",
            )


def movement_encoding(view: View, node: ir.Node) -> Iterator[Finding]:
    """What moves data has one encoding in and out."""
    rule = view.rule(node)
    if rule is None or rule.encodings is not Encodings.SHARED:
        return
    before = view.encoding(view.reader(node.inputs[0]))
    for value in node.outputs:
        for taker in view.quantizers(value):
            if before is not None and view.encoding(taker) not in (None, before):
                yield Finding(
                    str(node.name),
                    "movement-encoding",
                    f"{node.op_type} only moves data, and its output has another encoding than "
                    f"its input, so {_FLOAT}.",
                    "Give both the same scale, zero point and type.",
                )


def illegal_types(view: View, node: ir.Node) -> Iterator[Finding]:
    """The NPU has a kernel for the types of a unit, and data in and out have one type."""
    rule = view.rule(node)
    data = view.encoding(view.input_of(node, Role.DATA))
    if rule is None or data is None:
        return
    for value in node.outputs:
        for taker in view.quantizers(value):
            after = view.encoding(taker)
            if after is not None and after.dtype is not data.dtype:
                yield Finding(
                    str(node.name),
                    "mixed-types",
                    f"{node.op_type} takes {data.dtype.value} and gives {after.dtype.value}.",
                    "Give data in and out one type; convert with a DQ and a Q before or after.",
                )
    reader = view.input_of(node, Role.WEIGHT) or view.input_of(node, Role.SCALE)
    weight = view.encoding(reader) if reader is not None and view.stored(reader) else None
    op, architecture = node.op_type, view.architecture
    answer = (
        legal(op, data.dtype, weight.dtype, architecture, depthwise=is_depthwise(node))
        if weight is not None
        else weightless(op, data.dtype, architecture)
    )
    if not answer.ok:
        scale = view.input_of(node, Role.SCALE) is not None
        yield Finding(
            str(node.name),
            "illegal-types",
            f"{answer.reason[0].upper()}{answer.reason[1:]}.",
            "Give its scale the type uint8." if scale else "Choose another precision for it.",
        )


def stray(view: View, node: ir.Node) -> Iterator[Finding]:
    """A Q is followed by DQ nodes, a DQ follows a Q, a constant or a graph input."""
    if node.op_type == QUANTIZE:
        value = node.outputs[0]
        others = [user for user, _ in value.uses() if user.op_type != DEQUANTIZE]
        if others or not (value.uses() or value.is_graph_output()):
            found = f"goes to {others[0].op_type}" if others else "goes nowhere"
            yield Finding(
                str(node.name),
                "stray-quantize",
                f"What it quantizes {found}, not to a DequantizeLinear.",
                "Remove it, or add the DequantizeLinear.",
            )
    elif node.op_type == DEQUANTIZE:
        source = node.inputs[0]
        producer = source.producer() if source is not None else None
        if producer is not None and producer.op_type not in (QUANTIZE, "Constant", "Transpose"):
            yield Finding(
                str(node.name),
                "stray-dequantize",
                f"It reads the integers of a {producer.op_type}, not of a QuantizeLinear.",
                "Quantize that node as a whole, or leave both in float.",
            )
        elif not node.outputs[0].uses() and not node.outputs[0].is_graph_output():
            yield Finding(
                str(node.name), "stray-dequantize", "Nothing reads what it gives.", "Remove it."
            )


CHECKS: tuple[Check, ...] = (
    incomplete_unit,
    forked_output,
    movement_encoding,
    illegal_types,
    stray,
)


def _quantized(view: View, value: ir.Value) -> bool:
    """Whether a value goes to a Q, or through a clamp that alone reads it to a Q."""
    if view.quantizers(value):
        return True
    users = tuple(value.uses())
    return len(users) == 1 and _clamps(view, users[0][0])


def _clamps(view: View, node: ir.Node) -> bool:
    """Whether a node is a Relu or Clip between a quantized node and its Q, which are fused."""
    rule = view.rule(node)
    clamps = rule is not None and rule.encodings is Encodings.CLAMPED
    producer = node.inputs[0].producer() if clamps and node.inputs[0] is not None else None
    quantized = producer is not None and view.rule(producer) is not None
    return quantized and bool(view.quantizers(node.outputs[0]))


def _slopes_in_integers(view: View, node: ir.Node) -> bool:
    """Whether the NPU has the PRelu in integers at all; where not, float is the best there is."""
    data, slope = view.encoding(view.reader(node.inputs[0])), node.inputs[1]
    tensor = slope.const_value if slope is not None else None
    return data is None or legal_slope(tensor.size if tensor else None, data.dtype).ok
