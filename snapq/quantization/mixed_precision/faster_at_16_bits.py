"""Nodes that the NPU computes faster at 16 bits than at 8 get 16 bits, which are finer too.

Most kernels of 8 bits take half the time of those of 16, but some are missing or slow: a product
of wide tensors that are stretched to each other, a normalization by length, a filter of many taps.
Those hardly gain over fp16, which both estimates together tell, and are tried at 16 bits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from snapq.precision import ActivationType
from snapq.quantization.mixed_precision.cost import Cost, Estimate, by_float_node
from snapq.quantization.mixed_precision.never_slower import Make
from snapq.quantization.qdq.scheme import NodePrecision, Source
from snapq.quantization.quantize import Quantized

__all__ = ["Widened", "faster_at_16_bits"]

_SUSPECT = 0.6
"""Share of its cycles at fp16 from which a node of 8 bits is tried at 16."""
_WORTH = 0.05
"""Share of all cycles that the tried nodes must have, all together."""
_MOSTLY = 0.5
"""Share of all cycles that they must have for everything to be tried at 16 bits."""
_GAIN = 0.02
"""Share of all cycles that must be won."""
_HEAVY = 0.1
"""Share of the largest gain of a node from which a node counts as heavy."""
_WIDE = NodePrecision(
    activations=ActivationType.UINT16,
    reason="the NPU takes less time for it there, by the estimate",
    source=Source.ESTIMATE,
)


@dataclass(frozen=True)
class Widened:
    """A model in which some nodes have 16 bits because they are faster so.

    Attributes:
        quantized: the model.
        first: the estimate before.
        cost: its estimate.
        nodes: the precision of these nodes, by name.
        estimates: how many choices were estimated.
    """

    quantized: Quantized
    first: Cost
    cost: Cost
    nodes: Mapping[str, NodePrecision]
    estimates: int = 1


def faster_at_16_bits(
    quantized: Quantized, free: Collection[str], make: Make, estimate: Estimate, float_cost: Cost
) -> Widened | None:
    """Tries 16 bits for the nodes that 8 bits make hardly faster than fp16.

    1. All of them at 16 bits at once tell which gain; these, and the heavy ones of them, are tried
       without the others, as each change of precision is paid for with conversions.
    2. The fastest choice is taken where it wins at least 2 % of all cycles; None where none does.

    Only nodes that are `free` (by name) may have another precision than 8 bits.
    """
    first = estimate(quantized.model)
    spent = by_float_node(quantized.model, first)
    narrow = _narrow(quantized) & set(free)
    suspects = {
        name: spent[name]
        for name in narrow & spent.keys()
        if spent[name] > _SUSPECT * float_cost.nodes.get(name, 0.0)
    }
    if sum(suspects.values()) < _WORTH * first.cycles:
        return None

    def tried(names: Collection[str]) -> Widened:
        nodes = dict.fromkeys(sorted(names), _WIDE)
        candidate = make(nodes)
        return Widened(candidate, first, estimate(candidate.model), nodes)

    found = [tried(suspects)]
    now = by_float_node(found[0].quantized.model, found[0].cost)
    gains = {name: cycles - now.get(name, 0.0) for name, cycles in suspects.items()}
    for share in (0.0, _HEAVY):
        least = share * max(gains.values())
        chosen = {name for name, gain in gains.items() if gain > max(least, 0.0)}
        if chosen and all(chosen != one.nodes.keys() for one in found):
            found.append(tried(chosen))
    if sum(suspects.values()) >= _MOSTLY * first.cycles and narrow != suspects.keys():
        found.append(tried(narrow))
    known = [one for one in found if one.cost.compares_with(first)]
    best = min(known, key=lambda one: (one.cost.cycles, len(one.nodes)), default=None)
    if best is None or best.cost.cycles >= (1 - _GAIN) * first.cycles:
        return None
    return replace(best, estimates=len(found))


def _narrow(quantized: Quantized) -> frozenset[str]:
    """Names of the nodes that give values of 8 bits."""
    held = quantized.encodings
    return frozenset(
        str(node.name)
        for node in quantized.model.graph
        if any(value.name in held and held[value.name].dtype.bits == 8 for value in node.outputs)
    )
