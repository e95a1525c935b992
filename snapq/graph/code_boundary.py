"""Inputs and outputs that are integers of an encoding, as TFLite has them, made real numbers."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.codes import Codes, remember_codes
from snapq.graph.edit import Names, add_constant, constant, input_at, prepend
from snapq.graph.qoperators import expand_qoperators
from snapq.operators import Role, Trait, spec_of

__all__ = ["real_numbers_at_the_boundary"]

_INTEGERS = frozenset({ir.DataType.INT8, ir.DataType.UINT8, ir.DataType.INT16, ir.DataType.UINT16})


def real_numbers_at_the_boundary(model: ir.Model) -> tuple[str, ...]:
    """Lets inputs and outputs that are codes be real numbers, in place; says so.

    1. An input of 8- or 16-bit integers that only DequantizeLinear reads, all with one scale for
       the tensor, takes float32 and is quantized so; it remembers its codes (`codes_of`).
    2. An output that QuantizeLinear gives with one scale is dequantized.
    3. In both cases the integers may be moved on the way (Reshape, Transpose, and their like).
    4. Where one of them belongs to an integer operator (QLinearConv), these are expanded first.

    Returns:
        A sentence for each input and output that changed.

    Raises:
        ModelError: an integer operator has no float form that is known.
    """
    graph = model.graph
    inputs = [v for v in graph.inputs if v.dtype in _INTEGERS and not v.is_initializer()]
    outputs = [v for v in graph.outputs if v.dtype in _INTEGERS]
    if not inputs and not outputs:
        return ()
    expand_qoperators(model)
    names = Names(graph)
    notes = [_take_real(graph, names, value) for value in inputs]
    notes += [_give_real(graph, names, value) for value in tuple(graph.outputs)]
    return tuple(note for note in notes if note)


def _take_real(graph: ir.Graph, names: Names, codes: ir.Value) -> str:
    readers = _readers(codes)
    found = [_scale_and_zero(node) for node in readers]
    if not found or None in found or len({(s, z) for s, z in found if s is not None}) != 1:  # type: ignore[misc]
        return ""
    scale, zero = found[0]  # type: ignore[misc]
    name, kind = str(codes.name), np.dtype(codes.dtype.numpy())  # type: ignore[union-attr]
    real = ir.Value(name=name, shape=codes.shape, type=ir.TensorType(ir.DataType.FLOAT))
    remember_codes(real, Codes(kind, scale, zero))
    graph.inputs[list(graph.inputs).index(codes)] = real
    codes.name = names.unique(f"{name}_codes")
    parameters = _parameters(graph, names, name, scale, zero, kind)
    given = ir.node(
        "QuantizeLinear", [real, *parameters], outputs=[codes], name=names.unique(f"{name}_Q")
    )
    prepend(graph, [given])
    return _told("input", name, "takes", kind, scale, zero)


def _give_real(graph: ir.Graph, names: Names, codes: ir.Value) -> str:
    if codes.dtype not in _INTEGERS:
        return ""
    maker = _maker(codes)
    found = _scale_and_zero(maker) if maker is not None else None
    if found is None or codes.is_graph_input():
        return ""
    scale, zero = found
    name, kind = str(codes.name), np.dtype(codes.dtype.numpy())
    parameters = _parameters(graph, names, name, scale, zero, kind)
    real = ir.Value(name=name, shape=codes.shape, type=ir.TensorType(ir.DataType.FLOAT))
    codes.name = names.unique(f"{name}_codes")
    last = ir.node(
        "DequantizeLinear", [codes, *parameters], outputs=[real], name=names.unique(f"{name}_DQ")
    )
    graph.append(last)
    for position, output in enumerate(tuple(graph.outputs)):
        if output is codes:
            graph.outputs[position] = real
    return _told("output", name, "gives", kind, scale, zero)


def _readers(codes: ir.Value) -> list[ir.Node]:
    """The nodes that read codes, behind those that only move them."""
    found: list[ir.Node] = []
    waiting = [codes]
    while waiting:
        value = waiting.pop()
        if value.is_graph_output():
            return []
        for node, index in value.uses():
            if index == 0 and _moves(node):
                waiting.extend(node.outputs[:1])
            elif node.op_type not in ("Shape", "Size"):
                found.append(node)
    return found


def _maker(codes: ir.Value) -> ir.Node | None:
    node = codes.producer()
    while node is not None and _moves(node) and node.inputs[0] is not None:
        node = node.inputs[0].producer()
    return node


def _moves(node: ir.Node) -> bool:
    """Whether a node gives what its first input holds, elsewhere, and nothing else."""
    spec = spec_of(node)
    data = [i for i, value in enumerate(node.inputs) if value and spec.role(i) is Role.DATA]
    return spec.has(Trait.MOVES) and data == [0]


def _scale_and_zero(node: ir.Node) -> tuple[float, int] | None:
    """Scale and zero point of a Q or DQ with one constant scale for the whole tensor."""
    if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
        return None
    scale, zero_point = constant(node.inputs[1]), input_at(node, 2)
    zero = np.zeros(1, np.int64) if zero_point is None else constant(zero_point)
    if scale is None or zero is None or scale.size != 1:
        return None
    return float(scale.reshape(-1)[0]), int(zero.reshape(-1)[0])


def _parameters(
    graph: ir.Graph, names: Names, name: str, scale: float, zero: int, kind: np.dtype
) -> list[ir.Value]:
    arrays = {"scale": np.float32(scale), "zero_point": np.asarray(zero, kind)}
    return [
        add_constant(graph, names.unique(f"{name}_{end}"), np.asarray(array))
        for end, array in arrays.items()
    ]


def _told(what: str, name: str, verb: str, kind: np.dtype, scale: float, zero: int) -> str:
    samples = "; samples may be either" if what == "input" else ""
    return (
        f"The {what} '{name}' was {kind} codes of scale {scale:.6g} and zero point {zero}; it "
        f"{verb} real numbers now{samples}. `io: {{dtype: quantized}}` gives the package codes."
    )
