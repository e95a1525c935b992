"""Promotions: what a tensor needs for a higher precision, and in which order tensors are promoted.

A tensor loses its noise only where the node that gives it and all that compute with it have the
higher precision, so tensors are promoted, each with those nodes. They are taken in the order of
noise per cycle: noise from the sensitivity of each tensor alone, cycles from the estimates of the
whole model at either precision, by node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from snapq.precision import ActivationType, Promotion, WeightType
from snapq.quantization.analysis.sensitivity import Kind, Sensitivity
from snapq.quantization.encodings import Encoding
from snapq.quantization.mixed_precision.cost import follows
from snapq.quantization.qdq.scheme import NodePrecision, Scheme, Source

__all__ = ["Step", "ordered", "promoted", "steps", "whole"]

_INT16_WEIGHTS_FROM = 73
_FREE = 1e-4
"""The least that a promotion counts, as share of the model's cycles: none is for nothing."""
_REASON = "the accuracy budget"


@dataclass(frozen=True)
class Step:
    """One tensor's promotion.

    Attributes:
        nodes: which nodes it needs, by name.
        weights: the type that their weights get; None where they keep theirs.
        activations: the same of what they take and give.
    """

    nodes: frozenset[str]
    weights: WeightType | None
    activations: ActivationType | None


def whole(scheme: Scheme, to: Promotion) -> Scheme:
    """The scheme in which all of the model is promoted; the same one where that changes nothing.

    In fp16 nothing keeps the integers that it has only because 8 bits are too few or too slow.
    """
    weights, activations = _wanted(scheme, to)
    if to is Promotion.FLOAT16:
        kept = {name: own for name, own in scheme.per_node.items() if not _instead_of_8_bits(own)}
        scheme = replace(scheme, per_node=kept)
    if to is Promotion.UINT16 and scheme.activations is not ActivationType.UINT16:
        weights = weights if weights is WeightType.INT8 else None
    return replace(
        scheme, weights=weights or scheme.weights, activations=activations or scheme.activations
    )


def _instead_of_8_bits(own: NodePrecision) -> bool:
    """Whether snapq, not the user, gave a node integers of its own."""
    types = (None, ActivationType.FLOAT16)
    return own.source is not Source.USER and own.activations not in types


def promoted(scheme: Scheme, chosen: Iterable[Step]) -> Scheme:
    """The scheme after some promotions; a node that is in float stays so."""
    per_node = dict(scheme.per_node)
    for step in chosen:
        for name in step.nodes:
            before = per_node.get(name, NodePrecision())
            if scheme.precision(name)[1] is not ActivationType.FLOAT16:
                per_node[name] = NodePrecision(
                    step.weights or before.weights, step.activations or before.activations, _REASON
                )
    return replace(scheme, per_node=per_node)


def steps(
    sensitivities: Sequence[Sensitivity],
    graph: ir.Graph,
    scheme: Scheme,
    to: Promotion,
    held: Mapping[str, Encoding],
) -> list[tuple[Step, float]]:
    """Each tensor that the promotion helps, with what it needs and the noise that it takes away.

    `graph` is the lowered one; `scheme` and `held` are what nodes and tensors have at first.
    """
    values = {str(value.name): value for value in (*graph.inputs, *graph.initializers.values())}
    values |= {str(value.name): value for node in graph for value in node.outputs}
    found = []
    for sensitivity in sensitivities:
        types = _types(sensitivity, scheme, to, held)
        value = values.get(sensitivity.name)
        if value is None or sensitivity.noise <= 0.0 or types == (None, None):
            continue
        nodes = {node for user, _ in value.uses() for node in _onward(user)}
        producer = value.producer()
        if producer is not None:
            nodes.add(_back(producer))
        if nodes:
            names = frozenset(str(node.name) for node in nodes)
            found.append((Step(names, *types), sensitivity.noise))
    return found


def ordered(found: Sequence[tuple[Step, float]], extra: Callable[[Step, str], float]) -> list[Step]:
    """Most noise per cycle first, given what is promoted before.

    `extra` says what a node costs more after a step, as share of the whole model.
    """
    left = list(found)
    done: set[str] = set()
    result = []
    while left:
        gains = []
        for step, noise in left:
            costs = (max(extra(step, name), _FREE) for name in step.nodes - done)
            gains.append(noise / (_FREE + sum(costs)))
        step, _ = left.pop(gains.index(max(gains)))
        done |= step.nodes
        result.append(step)
    return result


def _wanted(scheme: Scheme, to: Promotion) -> tuple[WeightType | None, ActivationType | None]:
    """What sensitive weights get, and what sensitive activations get."""
    weights = WeightType.INT8 if scheme.weights is WeightType.INT4 else None
    if to is Promotion.INT8:
        return weights, None
    if to is Promotion.FLOAT16:
        return weights, ActivationType.FLOAT16
    if weights is None and scheme.architecture >= _INT16_WEIGHTS_FROM:
        weights = WeightType.INT16
    return weights, ActivationType.UINT16


def _types(
    sensitivity: Sensitivity, scheme: Scheme, to: Promotion, held: Mapping[str, Encoding]
) -> tuple[WeightType | None, ActivationType | None]:
    """What takes the noise of one tensor away: types of weights and of activations."""
    weights, activations = _wanted(scheme, to)
    bits = held[sensitivity.name].dtype.bits
    if sensitivity.kind is not Kind.WEIGHT:
        helps = activations is ActivationType.FLOAT16 or bits < 16
        return None, activations if helps else None
    if weights is not None and bits < weights.bits:
        # The NPU has 16-bit weights for 16-bit activations only; weights of 8 bits go with any.
        return weights, activations if weights is WeightType.INT16 else None
    return None, activations if activations is ActivationType.FLOAT16 else None


def _onward(node: ir.Node) -> list[ir.Node]:
    """The nodes that compute with what a node is given, through such that only move or clamp."""
    if not follows(node):
        return [node]
    users = [user for value in node.outputs for user, _ in value.uses()]
    return [found for user in users for found in _onward(user)]


def _back(node: ir.Node) -> ir.Node:
    """The node that computed what a node gives, through such that only move or clamp."""
    source = node.inputs[0] if node.inputs else None
    producer = source.producer() if source is not None else None
    return _back(producer) if follows(node) and producer is not None else node
