"""The schemes of the hunt: how a prepared graph is quantized, and what the CPU makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.devices.profiles import DeviceProfile
from snapq.graph.float16.run import write_for_float16
from snapq.precision import ActivationType, WeightType
from snapq.quantization.qdq.wide_bias import as_added
from snapq.quantization.quantize import Scheme, quantize

Array = np.ndarray[Any, np.dtype[Any]]

INTEGERS = {
    "w8a8": (WeightType.INT8, ActivationType.UINT8),
    "w8a16": (WeightType.INT8, ActivationType.UINT16),
    "w4a16": (WeightType.INT4, ActivationType.UINT16),
}
SCHEMES = (*INTEGERS, "fp16")
_JITTER = {8: 1.5, 16: 8.0}
"""Codes by which a right kernel may be off, by bits: Qualcomm's round otherwise than the CPU's,
and those of 16 bits approximate curves."""
_FLOAT16_JITTER = 2.0**-9


def supported(scheme: str, device: DeviceProfile) -> bool:
    """Whether the device computes in it."""
    return scheme in device.precisions


def quantized(
    prepared: ir.Model, feeds: Sequence[dict[str, Array]], scheme: str, device: DeviceProfile
) -> ir.Model:
    """The model that goes to the NPU; for fp16 the float one, written as a package has it."""
    if scheme == "fp16":
        model = prepared.clone()
        write_for_float16(model)
        return model
    weights, activations = INTEGERS[scheme]
    wanted = Scheme(weights, activations, architecture=device.architecture)
    return quantize(prepared, feeds, wanted).model


def on_cpu(model: ir.Model, scheme: str) -> CpuModel:
    """The same model on the CPU; a float one rounds each result to float16, as the NPU does."""
    changed = rounded(model, None) if scheme == "fp16" else as_added(model)
    return CpuModel(changed, optimize=False)


def jittered(model: ir.Model, scheme: str, seed: int) -> CpuModel:
    """The same where every result is off by as much as a right kernel of the NPU may be."""
    rng = np.random.default_rng(seed)
    changed = rounded(model, rng) if scheme == "fp16" else _codes_off(as_added(model), rng)
    return CpuModel(changed, optimize=False)


def rounded(model: ir.Model, rng: np.random.Generator | None) -> ir.Model:
    """Every result of real numbers goes through float16, with some relative noise beside."""
    changed = model.clone()
    graph = changed.graph
    # In front of each node's readers, whatever they are: outputs of the graph keep their names.
    for node in tuple(graph):
        for value in node.outputs:
            if value.dtype == ir.DataType.FLOAT and value.shape is not None:
                _through_float16(graph, node, value, rng)
    for value in graph.inputs:
        if value.dtype == ir.DataType.FLOAT:
            _through_float16(graph, None, value, None)
    return changed


def _through_float16(
    graph: ir.Graph, node: ir.Node | None, value: ir.Value, rng: np.random.Generator | None
) -> None:
    nodes = [
        ir.node("Cast", [value], attributes={"to": ir.DataType.FLOAT16.value}),
    ]
    nodes.append(ir.node("Cast", [nodes[0].outputs[0]], attributes={"to": ir.DataType.FLOAT.value}))
    if rng is not None:
        shape = [int(size) for size in value.shape or ()]
        factor = 1 + _FLOAT16_JITTER * rng.uniform(-1, 1, shape)
        nodes.append(_with_constant(graph, "Mul", nodes[-1].outputs[0], factor, f"{value.name}_j"))
    _instead(graph, node, value, nodes)


def _codes_off(model: ir.Model, rng: np.random.Generator) -> ir.Model:
    changed = model.clone()
    graph = changed.graph
    for node in tuple(graph):
        value = node.inputs[0]
        if node.op_type != "QuantizeLinear" or value is None or value.shape is None:
            continue
        scale = node.inputs[1].const_value if node.inputs[1] is not None else None
        zero = node.inputs[2] if len(node.inputs) > 2 else None
        if scale is None or zero is None or zero.dtype is None or scale.size != 1:
            continue
        codes = _JITTER.get(zero.dtype.itemsize * 8)
        if codes is None:
            continue
        shape = [int(size) for size in value.shape]
        noise = float(scale.numpy().reshape(())) * codes * rng.uniform(-1, 1, shape)
        off = _with_constant(graph, "Add", value, noise, f"{node.name}_j")
        graph.insert_before(node, off)
        node.replace_input_with(0, off.outputs[0])
    return changed


def _with_constant(
    graph: ir.Graph, op_type: str, value: ir.Value, array: Array, name: str
) -> ir.Node:
    constant = ir.Value(name=name, const_value=ir.tensor(array.astype(np.float32), name=name))
    graph.register_initializer(constant)
    return ir.node(op_type, [value, constant])


def _instead(
    graph: ir.Graph, node: ir.Node | None, value: ir.Value, nodes: Sequence[ir.Node]
) -> None:
    """Whatever reads the value reads the last of the nodes, which stand behind it."""
    last = nodes[-1].outputs[0]
    for use in tuple(value.uses()):
        if use.node is not nodes[0]:
            use.node.replace_input_with(use.idx, last)
    if node is None:
        for one in reversed(nodes):
            graph.insert_before(graph[0], one)
    else:
        graph.insert_after(node, nodes)
    for index, output in enumerate(graph.outputs):
        if output is value and node is not None:
            last.name, value.name = value.name, f"{value.name}_exact"
            last.dtype, last.shape = value.dtype, value.shape
            graph.outputs[index] = last
