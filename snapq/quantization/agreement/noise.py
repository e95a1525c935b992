"""What a right kernel of the NPU may give: the CPU's results, each of them some codes off.

Qualcomm's kernels round otherwise than the CPU's, and those of 16 bits approximate curves. What
that makes of an output depends on the model: through a logarithm of small numbers, or on an output
of two elements, it is more than the CPU's own noise lets expect. So where the NPU is off by little,
the model is computed again with such noise on every result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.graph.behind import CHOOSES
from snapq.graph.edit import new_constant
from snapq.graph.shapes import static_shape
from snapq.quantization.qdq.wide_bias import as_added

__all__ = ["rounded_to_float16", "with_noise"]

Array = np.ndarray[Any, np.dtype[Any]]
Outputs = Mapping[str, Array]

_CODES = {8: 1.5, 16: 8.0}
"""Codes by which a right kernel may be off, by bits."""
_FLOAT16 = 2.0**-9
"""The same in fp16, as a share of the value: two units in the last place."""
_SCORES = 2.0**-11
"""By what share scores that are looked through for the best are off: that is done in fp16."""
_RUNS = 3
_FEW = 16
"""Results of which each may be off by so much; of more of them, few are."""
_MOST_NUMBERS = 1 << 20


def with_noise(
    model: ir.Model, feeds: Sequence[Outputs], *, float16: bool = False
) -> list[list[dict[str, Array]]]:
    """Outputs of the CPU, sample by sample, in several runs with noise of their own.

    Args:
        model: a Q/DQ model, or a float one; left as it is.
        feeds: the samples.
        float16: whether the model is a float one, whose results are then rounded to float16 too.
    """
    found = []
    for seed in range(_RUNS):
        changed = _in_float16(model, seed) if float16 else _codes_off(as_added(model), seed)
        cpu = CpuModel(changed, optimize=False)
        found.append([cpu.run(feed) for feed in feeds])
    return found


def rounded_to_float16(model: ir.Model) -> ir.Model:
    """A copy of a float model where every result goes through float16."""
    return _in_float16(model, None)


def _in_float16(model: ir.Model, seed: int | None) -> ir.Model:
    changed = model.clone()
    graph = changed.graph
    # In front of each node's readers, whatever they are: outputs of the graph keep their names.
    share = _share(len(graph))
    for place, node in enumerate(tuple(graph)):
        for value in node.outputs:
            if value.dtype == ir.DataType.FLOAT:
                own = None if seed is None else (seed, place)
                _through_float16(graph, node, value, own, share)
    for value in graph.inputs:
        if value.dtype == ir.DataType.FLOAT:
            _through_float16(graph, None, value, None, 0.0)
    return changed


def _through_float16(
    graph: ir.Graph,
    node: ir.Node | None,
    value: ir.Value,
    seed: Sequence[int] | None,
    share: float,
) -> None:
    nodes = [ir.node("Cast", [value], attributes={"to": ir.DataType.FLOAT16.value})]
    nodes.append(ir.node("Cast", [nodes[0].outputs[0]], attributes={"to": ir.DataType.FLOAT.value}))
    if seed is not None:
        exact = nodes[-1].outputs[0]
        exact.shape, exact.type = value.shape, value.type
        width = _FLOAT16 * share
        off = _with_random(graph, "Mul", exact, 1 - width, 1 + width, seed)
        nodes += [] if off is None else [off]
    _instead(graph, node, value, nodes)


def _share(results: int) -> float:
    """By how much less each result is off where there are many: together they are off as 16 are."""
    return min(1.0, math.sqrt(_FEW / max(results, 1)))


def _codes_off(model: ir.Model, seed: int) -> ir.Model:
    changed = model.clone()
    graph = changed.graph
    share = _share(sum(node.op_type == "QuantizeLinear" for node in graph))
    for place, node in enumerate(tuple(graph)):
        value = node.inputs[0] if node.inputs else None
        if node.op_type in CHOOSES and value is not None and value.dtype == ir.DataType.FLOAT:
            off = _with_random(graph, "Mul", value, 1 - _SCORES, 1 + _SCORES, (seed, place))
            if off is not None:
                graph.insert_before(node, off)
                node.replace_input_with(0, off.outputs[0])
        if node.op_type != "QuantizeLinear" or value is None or value.dtype != ir.DataType.FLOAT:
            continue
        scale = node.inputs[1].const_value if node.inputs[1] is not None else None
        zero = node.inputs[2] if len(node.inputs) > 2 else None
        if scale is None or zero is None or zero.dtype is None or scale.size != 1:
            continue
        codes = _CODES.get(int(zero.dtype.itemsize * 8))
        if codes is None:
            continue
        width = float(scale.numpy().reshape(())) * codes * share
        off = _with_random(graph, "Add", value, -width, width, (seed, place))
        if off is not None:
            graph.insert_before(node, off)
            node.replace_input_with(0, off.outputs[0])
    return changed


def _with_random(
    graph: ir.Graph, op_type: str, value: ir.Value, low: float, high: float, seed: Sequence[int]
) -> ir.Node | None:
    """A node with the value and random numbers within two bounds; None where its shape is open."""
    shape = static_shape(value)
    if shape is None:
        return None
    while math.prod(shape) > _MOST_NUMBERS and len(shape) > 1:
        shape = shape[1:]  # the same numbers all along the outer axes
    numbers = np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)
    return ir.node(op_type, [value, new_constant(graph, f"{value.name}_noise", numbers)])


def _instead(
    graph: ir.Graph, node: ir.Node | None, value: ir.Value, nodes: Sequence[ir.Node]
) -> None:
    """Whatever reads the value reads the last of the nodes, which stand behind it."""
    last = nodes[-1].outputs[0]
    for use in tuple(value.uses()):
        if use.node not in nodes:
            use.node.replace_input_with(use.idx, last)
    if node is None:
        for one in reversed(nodes):
            graph.insert_before(graph[0], one)
    else:
        graph.insert_after(node, nodes)
    for index, output in enumerate(graph.outputs):
        if output is value and node is not None:
            last.name, value.name = value.name, f"{value.name}_exact"
            last.type, last.shape = value.type, value.shape
            graph.outputs[index] = last
