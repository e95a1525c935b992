"""Writes integer operators (QLinearConv and its like) as float operators between Q and DQ.

Sources: ONNX QLinearConv-10 and QLinearMatMul-21, and the contributed operators of ONNX Runtime
(domain com.microsoft) that its quantizer writes in QOperator format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from snapq.errors import ModelError
from snapq.graph.edit import add_constant, input_at

__all__ = ["expand_qoperators"]


@dataclass(frozen=True)
class _Form:
    """Where an integer operator has its tensors among its inputs.

    Attributes:
        op_type: the float operator.
        data: index of each quantized input; scale and zero point follow it.
        output: index of the scale of the output; its zero point follows it.
        bias: index of the int32 bias, at scale of the first times scale of the second input.
        drop: attributes that the float operator does not have.
    """

    op_type: str
    data: tuple[int, ...]
    output: int
    bias: int | None = None
    drop: tuple[str, ...] = ()


_ONE = (0,)
_TWO = (0, 3)
FORMS: dict[str, _Form] = {
    "QLinearConv": _Form("Conv", _TWO, 6, bias=8),
    "QLinearMatMul": _Form("MatMul", _TWO, 6),
    "QLinearAdd": _Form("Add", _TWO, 6),
    "QLinearMul": _Form("Mul", _TWO, 6),
    "QGemm": _Form("Gemm", _TWO, 7, bias=6),
    "QLinearSigmoid": _Form("Sigmoid", _ONE, 3),
    "QLinearLeakyRelu": _Form("LeakyRelu", _ONE, 3),
    "QLinearSoftmax": _Form("Softmax", _ONE, 3, drop=("opset",)),
    "QLinearAveragePool": _Form("AveragePool", _ONE, 3, drop=("channels_last",)),
    "QLinearGlobalAveragePool": _Form("GlobalAveragePool", _ONE, 3, drop=("channels_last",)),
}


def expand_qoperators(model: ir.Model) -> int:
    """Replaces integer operators, in place; returns how many.

    Raises:
        ModelError: one has no float form that is known here, or is in NHWC layout.
    """
    graph, count = model.graph, 0
    for node in tuple(graph):
        if not node.op_type.startswith(("QLinear", "QGemm")):
            continue
        form = FORMS.get(node.op_type)
        if node.op_type == "QLinearConcat":
            form = _Form("Concat", tuple(range(2, len(node.inputs), 3)), 0)
        if form is None or node.attributes.get_int("channels_last", 0) != 0:
            raise ModelError(
                f"'{node.name}' is a {node.op_type}, whose float form is not known here.",
                where=str(node.name),
                hint="Quantize in Q/DQ format (QuantFormat.QDQ), or give the float model.",
            )
        _expand(graph, node, form)
        count += 1
    return count


def _expand(graph: ir.Graph, node: ir.Node, form: _Form) -> None:
    stem = str(node.outputs[0].name)
    before: list[ir.Node] = []
    floats: list[ir.Value | None] = []
    for place, index in enumerate(form.data):
        per_channel = place == 1 and form.op_type in ("Conv", "Gemm")
        first = form.op_type == "Conv" or node.attributes.get_int("transB", 0) == 1
        axis = 0 if first else 1
        name = f"{stem}_input_{place}"
        inputs = node.inputs[index : index + 3]
        read = _dequantized(inputs, name, axis if per_channel else None)
        before.append(read)
        floats.append(read.outputs[0])
    bias = input_at(node, form.bias) if form.bias is not None else None
    if bias is not None:
        read = _dequantized([bias, _bias_scale(graph, node, stem)], f"{stem}_bias", 0)
        before.append(read)
        floats.append(read.outputs[0])
    attributes = [a for a in node.attributes.values() if a.name not in form.drop]
    result = ir.Value(name=f"{stem}_float", type=ir.TensorType(ir.DataType.FLOAT))
    real = ir.Node(
        "", form.op_type, floats, attributes, outputs=[result], name=f"{node.name}_float"
    )
    old = node.outputs[0]
    given = ir.Value(name=stem, shape=old.shape, type=old.type)
    quantize = ir.node(
        "QuantizeLinear",
        [result, *node.inputs[form.output : form.output + 2]],
        outputs=[given],
        name=f"{node.name}_QuantizeLinear",
    )
    old.name = None
    old.replace_all_uses_with(given, replace_graph_outputs=True)
    graph.insert_before(node, [*before, real, quantize])
    graph.remove(node, safe=True)


def _dequantized(inputs: Sequence[ir.Value | None], name: str, axis: int | None) -> ir.Node:
    scale = inputs[1]
    several = scale is not None and scale.const_value is not None and scale.const_value.size > 1
    return ir.node(
        "DequantizeLinear",
        list(inputs),
        attributes={"axis": axis} if axis is not None and several else {},
        outputs=[ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT))],
        name=f"{name}_DequantizeLinear",
    )


def _bias_scale(graph: ir.Graph, node: ir.Node, stem: str) -> ir.Value:
    first, second = node.inputs[1], node.inputs[4]
    if first is None or second is None or not (first.const_value and second.const_value):
        raise ModelError(
            f"'{node.name}' has scales that are computed.",
            where=str(node.name),
            hint="Give a model with constant scales.",
        )
    scale = np.asarray(first.const_value.numpy() * second.const_value.numpy(), np.float32)
    scale = scale.reshape(-1) if scale.size > 1 else scale.reshape(())
    return add_constant(graph, f"{stem}_bias_scale", scale)
