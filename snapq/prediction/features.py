"""What of a model a prediction rests on, beside its estimate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import prod

import onnx_ir as ir

from snapq.graph import cost
from snapq.graph.inference import infer_shapes
from snapq.graph.shapes import graph_inputs, static_shape
from snapq.operators import Family, Trait, spec_of
from snapq.prediction.kinds import kind_of
from snapq.prediction.network import Features

__all__ = ["boundary_bytes", "features", "macs", "nodes", "normalized", "precisions"]

FLOAT, NARROW_WEIGHTS = "float", "4-bit weights"
_SMALL_SHARE = 0.1
"""Of the multiply-accumulates; so much at another precision decides no time."""
_MATRIX = 2
"""Axes that are none of channels."""
_NORMALIZING = ("Add", "BatchNormalization", "Div", "Mul", "Sub")
_LAYERS = (Family.CONV, Family.GEMM, Family.ATTENTION, Family.RECURRENT)


def features(model: ir.Model) -> Features:
    """The features of a float model, or of one with Q/DQ, as it is estimated."""
    return Features(
        precisions(model),
        kind_of(model),
        boundary_bytes(model),
        nodes(model),
        macs(model),
        normalized(model),
    )


def boundary_bytes(model: ir.Model) -> int:
    """Bytes of all inputs and outputs of one inference; unknown shapes count as nothing."""
    return sum(map(_bytes, (*graph_inputs(model), *model.graph.outputs)))


def macs(model: ir.Model) -> int:
    """Multiply-accumulates of one inference; shapes that a model does not tell are inferred."""
    outputs = (value for node in model.graph for value in node.outputs)
    if any(static_shape(value) is None for value in outputs):
        model = model.clone()
        infer_shapes(model)
    return cost.total_macs(model)


def nodes(model: ir.Model) -> int:
    """Nodes of the main graph without Q, DQ and constants."""
    idle = (Family.QDQ, Family.CONSTANT)
    return sum(spec_of(node).family not in idle for node in model.graph)


def normalized(model: ir.Model) -> int:
    """Values of the inputs with channels, such as pictures, that meet constants before any layer.

    Mean and deviation of each channel, or one factor for all: what counts is that a network
    computes on so few channels at all. Moves, Q and DQ may stand between.
    """
    return sum(
        prod(static_shape(value) or ())
        for value in graph_inputs(model)
        if len(static_shape(value) or ()) > _MATRIX and _meets_constants(value)
    )


def _meets_constants(value: ir.Value) -> bool:
    for user in value.consumers():
        found = spec_of(user)
        if found.family is Family.QDQ or found.has(Trait.MOVES):
            if any(map(_meets_constants, user.outputs)):
                return True
        elif user.op_type in _NORMALIZING:
            others = [one for one in user.inputs if one is not None and one is not value]
            if others and all(_constant(one) for one in others):
                return True
    return False


def _constant(value: ir.Value) -> bool:
    maker = value.producer()
    if maker is not None and spec_of(maker).family is Family.QDQ and maker.inputs[0] is not None:
        return _constant(maker.inputs[0])
    return value.const_value is not None or (maker is not None and maker.op_type == "Constant")


def precisions(model: ir.Model) -> tuple[str, ...]:
    """At which precisions the layers compute, the one with most multiply-accumulates first."""
    shares: Counter[str] = Counter()
    for node, found in zip(model.graph, cost.node_costs(model), strict=True):
        if spec_of(node).family in _LAYERS:
            shares[_precision(node)] += found.macs or 1
    total = shares.total()
    return tuple(name for name, part in shares.most_common() if part >= _SMALL_SHARE * total)


def _precision(node: ir.Node) -> str:
    held = [_held(value) for value in node.inputs]
    if any(one is not None and one.bitwidth < 8 for one in held):
        return NARROW_WEIGHTS
    data = held[0]
    return FLOAT if data is None else f"w8a{data.bitwidth}"


def _held(value: ir.Value | None) -> ir.DataType | None:
    """The integer type in which a value is held, moved at most since; None of floats."""
    maker = None if value is None else value.producer()
    while maker is not None and spec_of(maker).has(Trait.MOVES) and maker.inputs[0] is not None:
        maker = maker.inputs[0].producer()
    if maker is None or maker.op_type != "DequantizeLinear" or maker.inputs[0] is None:
        return None
    held = maker.inputs[0]
    source = held.producer()
    if held.dtype is None and source is not None and len(source.inputs) > 2:
        zero_point = source.inputs[2]  # a Q's output has the type of its zero point
        return None if zero_point is None else zero_point.dtype
    return held.dtype


def _bytes(value: ir.Value) -> int:
    shape = static_shape(value)
    if shape is None or value.dtype is None or value.dtype == ir.DataType.STRING:
        return 0
    return (prod(shape) * value.dtype.bitwidth + 7) // 8


def joined(names: Iterable[str]) -> str:
    """`w8a8 and w8a16`."""
    return " and ".join(names)
