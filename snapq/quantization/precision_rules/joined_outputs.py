"""Which nodes bring unlike ranges together in an output: boxes in pixels and scores from 0 to 1.

One encoding of 8 bits for a range of 640 has a step of 2.5, so that all scores become 0, and SQNR
over the whole output, which the boxes make up, does not show it. In fp16 such a node keeps both: a
head with 4 and 8 channels goes from 0 to 31.5 dB for the scores, and from 35,852 to 37,557 cycles
by Qualcomm's estimate for QCS9075; with 80 classes at 64 x 64 places from 238,443 to 219,138. At 16
bits, for NPUs without fp16, the scores have 31.1 dB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx_ir as ir

from snapq.operators import Encodings, Trait, spec_of
from snapq.precision import ActivationType
from snapq.quantization.precision_rules.keep_wide import FIRST_16_BIT, FLOAT_FROM
from snapq.quantization.qdq.decisions import Decision, constant
from snapq.quantization.qdq.groups import Groups, Range, constant_range
from snapq.quantization.qdq.plan import QdqPlan
from snapq.quantization.qdq.scheme import NodePrecision, Source

__all__ = ["joined_outputs"]

_MUCH_SMALLER = 1 / 8
"""A member whose range is below this share of the largest loses three bits and more."""
_LARGEST = 2.0**15
"""Beyond, fp16 has no room for what calibration did not meet."""
_MOVES = (Encodings.SHARED, Encodings.JOINED)
_FLOAT = NodePrecision(
    activations=ActivationType.FLOAT16,
    reason="the rule for outputs that join unlike ranges",
    source=Source.RULE,
)
_WIDE = NodePrecision(
    activations=ActivationType.UINT16,
    reason="what it joins to an output has ranges too unlike for 8",
    source=Source.RULE,
)


def joined_outputs(plan: QdqPlan) -> dict[str, NodePrecision]:
    """Nodes of 8 bits that join tensors of unlike ranges, and what they should have; by name.

    1. A node that moves what comes in, such as Concat or ScatterElements, and of which an output
       of the graph is made by movement and clamps alone, and
    2. that has an input whose range is much smaller than that of another; constant filling and
       what is moved from an input of the graph do not count as small.

    What the user says of a node wins. The plan has the ranges of all tensors.
    """
    scheme = plan.scheme
    in_float = scheme.float16 and scheme.architecture >= FLOAT_FROM
    wide = plan.graph.opset_imports.get("", 0) >= FIRST_16_BIT
    if not (scheme.keep_wide and (in_float or wide)):
        return {}
    found: dict[str, NodePrecision] = {}
    for node, decision in plan.decisions.items():
        own = scheme.per_node.get(str(node.name), NodePrecision())
        free = own.activations is None or own.source is not Source.USER
        small = decision.dtype is not None and decision.dtype.bits <= 8
        if not (free and small) or decision.encodings not in _MOVES:
            continue
        spans = list(_spans(plan, node, decision))
        largest = max((span for span, _ in spans), default=0.0)
        unlike = any(0 < span < _MUCH_SMALLER * largest for span, counts in spans if counts)
        if unlike and _leaves(node, plan.decisions):
            fits = in_float and (largest <= _LARGEST or not wide)
            found[str(node.name)] = _FLOAT if fits else _WIDE
    return found


def _spans(plan: QdqPlan, node: ir.Node, decision: Decision) -> Iterator[tuple[float, bool]]:
    """Of each input how far its range reaches, 0 included, and whether it may be the small one."""
    for index, value in enumerate(node.inputs):
        if value is None or not decision.role(index).quantized:
            continue
        tensor = constant(value)
        if tensor is not None:
            yield _span(constant_range(tensor)), decision.encodings is Encodings.JOINED
        elif value in plan.groups:
            yield _span(_range(value, plan.groups, plan.ranges)), not _is_fed(value)


def _range(value: ir.Value, groups: Groups, ranges: Mapping[ir.Value, Range]) -> Range:
    """What was seen of a tensor itself, where it was watched, else the range of its group."""
    return ranges[value] if value in ranges else groups.range(value, ranges)


def _span(limits: Range) -> float:
    return max(limits[1], 0.0) - min(limits[0], 0.0)


def _is_fed(value: ir.Value) -> bool:
    """Whether a tensor is an input of the graph, moved or as it is."""
    node = value.producer()
    while node is not None:
        first = node.inputs[0] if node.inputs else None
        if first is None or not spec_of(node).has(Trait.MOVES):
            return False
        value, node = first, first.producer()
    return value.is_graph_input()


def _leaves(node: ir.Node, decisions: Mapping[ir.Node, Decision]) -> bool:
    """Whether an output of the graph is made of what a node gives by movement and clamps alone."""
    for value in node.outputs:
        if value.is_graph_output():
            return True
        for user, index in value.uses():
            decision = decisions.get(user, Decision())
            follows = decision.rule is not None and decision.rule.follows
            if follows and decision.role(index).quantized and _leaves(user, decisions):
                return True
    return False
