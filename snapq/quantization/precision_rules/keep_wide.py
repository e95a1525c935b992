"""What stays wide by rule: the few places that 8 bits ruin or slow down, at little or no cost.

| where | what it has |
|---|---|
| a spectral front end: transforms of an input, squares, a root, a logarithm | float |
| squares under a root elsewhere | 16 bits, where activations have 8 |
| cells of recurrent layers, their state, small heads | 16 bits, where activations have 8 |
| the places at which a GridSample reads | 16 bits, where activations have 8 |
| what finds the nearest row of a codebook (`codebooks`) | 16 bits, where activations have 8 |
| a running sum (CumSum) | 16 bits, where activations have 8 |
| a Softmax over 100 classes or more that is an output | 16 bits, where activations have 8 |
| a depthwise filter whose sides add up to 64 or more | 16 bits, where activations have 8 |
| normalizations of a DenseNet, some behind a Concat | float, where activations have 16 |
| what joins unlike ranges in an output (`joined_outputs`) | float, where activations have 8 |
| what makes boxes (`box_decoding`) | 16 bits, where activations have 8 and it takes 5 % at most |

The NPU has no fast 8-bit kernel for such a filter: by Qualcomm's estimate for QCS9075, 62 taps
over 64 channels and 200 steps take 23 us at 8 bits and 31 at 16, 63 taps 28,006 and 61.

The NPU rounds a running sum at each step: with 8 bits 27 dB where the CPU has 34, with 16 74.
Probabilities of many classes are below half of 1 / 256: of 1,000 classes a Softmax has 5 dB with 8
bits and 37 with 16, for the same time where it is one row, 2.3 times the time of 64 rows; that of
PP-OCRv3's recognizer gains 0.3 dB and takes 2.5 % less with all in front.

At 16 bits Qualcomm's compiler crashes on such normalizations, depthwise filters of one tap, of
DenseNet-121 (QAIRT 2.51; not on all weights); with all in float it takes 1,002 us by the estimate
for QCS9075.

What the user says of a node wins, and `precision_rules: false` turns the rules off.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import onnx_ir as ir

from snapq.graph.edit import is_op
from snapq.graph.shapes import static_shape
from snapq.operators import Trait, spec_of
from snapq.precision import ActivationType
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.precision_rules.codebooks import nearest_rows
from snapq.quantization.precision_rules.coordinates import coordinates
from snapq.quantization.precision_rules.recurrent import cells
from snapq.quantization.precision_rules.squares import fronts, logarithms, squared
from snapq.quantization.qdq.decisions import is_float
from snapq.quantization.qdq.scheme import NodePrecision, Scheme, Source

__all__ = [
    "FIRST_16_BIT",
    "FLOAT_FROM",
    "RULES",
    "WideRule",
    "beyond_float16",
    "in_float",
    "keep_wide",
    "without_float",
]

FIRST_16_BIT = 21
"""Opset whose Q and DQ take 16 bits; source: QuantizeLinear-21 of ONNX."""
FLOAT_FROM = 73
"""The first architecture that runs these operators in fp16 (v69 has it in part)."""
_LARGEST = 2.0**15
"""fp16 ends at 65504; half of it leaves room for sums that calibration did not meet."""
_SMALLEST = 2.0**-4
"""fp16 loses squares of values below 2^-12: where the largest root is below this, 16 bits keep
more."""
_FRONT = "the rule for spectra"
_SCALED = "the rule for normalizations behind a Concat"
_WIDE = ActivationType.UINT16
_RUINED = "loses too much at 8"
_CLASSES = 100
"""From so many on, most probabilities are less than a step of 8 bits."""
_SIDES = 64
"""What both sides of a depthwise filter add up to from which 8 bits are slow."""


@dataclass(frozen=True)
class WideRule:
    """What finds nodes that have 16 bits where activations have 8, and a clause that says why."""

    nodes: Callable[[ir.Graph], frozenset[str]]
    reason: str


def keep_wide(graph: ir.Graph, scheme: Scheme) -> Scheme:
    """The scheme with the rules put in for nodes of which it says nothing yet."""
    if not scheme.keep_wide or graph.opset_imports.get("", 0) < FIRST_16_BIT:
        return scheme
    chosen: dict[str, NodePrecision] = {}
    named = scheme.per_node
    front = frozenset[str]()
    if scheme.float16 and scheme.architecture >= FLOAT_FROM:
        front = fronts(graph) | logarithms(graph)
    settled = {name for name, own in named.items() if own.source is not Source.ESTIMATE}
    if scheme.activations in (ActivationType.UINT8, _WIDE) and front.isdisjoint(settled):
        chosen |= dict.fromkeys(front, _rule(ActivationType.FLOAT16, _FRONT))
        if scheme.activations is _WIDE:
            chosen |= dict.fromkeys(_scaled_joins(graph), _rule(ActivationType.FLOAT16, _SCALED))
    if scheme.activations is ActivationType.UINT8:
        for rule in RULES:
            names = rule.nodes(graph) - chosen.keys()
            chosen |= dict.fromkeys(names, _rule(_WIDE, rule.reason))
    # A front end is float as a whole: what an estimate says of a part of it does not count.
    fresh = {
        name: own
        for name, own in chosen.items()
        if name not in named or (name in front and name not in settled)
    }
    return replace(scheme, per_node={**named, **fresh}) if fresh else scheme


def in_float(graph: ir.Graph, scheme: Scheme) -> tuple[str, ...]:
    """Tensors that are float by rule, with what goes in: all must be seen to know that they fit."""
    names: dict[str, None] = {}
    for node in _float_nodes(graph, scheme):
        for value in (*node.inputs, *node.outputs):
            if value is not None and is_float(value) and value.const_value is None:
                names[str(value.name)] = None
    return tuple(names)


def beyond_float16(graph: ir.Graph, scheme: Scheme, seen: Mapping[str, Collector]) -> bool:
    """Whether what is float by rule was too large, or too small, for fp16."""
    for node in _float_nodes(graph, scheme):
        largest = _reach(node.outputs, seen)
        if largest > _LARGEST or (node.op_type == "Sqrt" and 0 < largest < _SMALLEST):
            return True
        if node.op_type == "Log" and 0 < _reach(node.inputs, seen) < _SMALLEST**2:
            return True
    return False


def _reach(values: Iterable[ir.Value | None], seen: Mapping[str, Collector]) -> float:
    """The largest magnitude of some tensors; 0 where none was seen."""
    found = [seen[str(value.name)] for value in values if value and str(value.name) in seen]
    return max((max(-one.minimum, one.maximum) for one in found if not one.empty), default=0.0)


def without_float(scheme: Scheme) -> Scheme:
    """The scheme with 16 bits in the place of what is float by rule."""
    narrow = _rule(_WIDE, f"a root of squares beyond the range of fp16 {_RUINED}")
    return replace(
        scheme,
        per_node={
            name: narrow if _is_float_rule(own) else own for name, own in scheme.per_node.items()
        },
    )


def _scaled_joins(graph: ir.Graph) -> frozenset[str]:
    """Names of depthwise filters of one tap, where some of them stand behind a Concat."""
    found, joined = set(), False
    for node in graph:
        shape = static_shape(node.inputs[1]) if node.op_type == "Conv" else None
        if shape is None or shape[1:] != (1, 1, 1):
            continue
        if node.attributes.get_int("group", 1) == shape[0] > 1:
            found.add(str(node.name))
            source = node.inputs[0].producer() if node.inputs[0] is not None else None
            joined = joined or (source is not None and source.op_type == "Concat")
    return frozenset(found) if joined else frozenset()


def _long_filters(graph: ir.Graph) -> frozenset[str]:
    """Names of depthwise filters, of one or two dimensions, that are slow at 8 bits."""
    found = set()
    for node in graph:
        shape = static_shape(node.inputs[1]) if node.op_type == "Conv" else None
        if shape is None or len(shape) not in (3, 4):
            continue
        depthwise = shape[1] == 1 and node.attributes.get_int("group", 1) == shape[0]
        if depthwise and sum(shape[2:]) + (len(shape) == 3) >= _SIDES:
            found.add(str(node.name))
    return frozenset(found)


def _sums(graph: ir.Graph) -> frozenset[str]:
    """Names of running sums."""
    return frozenset(str(node.name) for node in graph if node.op_type == "CumSum")


def _last_softmaxes(graph: ir.Graph) -> frozenset[str]:
    """Names of the Softmaxes over many classes that outputs of the graph are."""
    found = set()
    for value in graph.outputs:
        node: ir.Node | None = value.producer()
        while node is not None and spec_of(node).has(Trait.RESHAPES):
            first = node.inputs[0]
            node = first.producer() if first is not None else None
        if node is None or not is_op(node, "Softmax"):
            continue
        shape = static_shape(node.inputs[0])
        if shape and shape[node.attributes.get_int("axis", -1)] >= _CLASSES:
            found.add(str(node.name))
    return frozenset(found)


RULES = (
    WideRule(squared, f"a root of squares {_RUINED}"),
    WideRule(cells, "the cell of a recurrent layer loses too much at 8"),
    WideRule(coordinates, f"a place to read at {_RUINED}"),
    WideRule(nearest_rows, "the nearest row of a codebook is another one at 8"),
    WideRule(_sums, f"a running sum {_RUINED}"),
    WideRule(_last_softmaxes, "the smaller probabilities of many classes are all 0 at 8 bits"),
    WideRule(_long_filters, "the NPU has no fast 8-bit kernel for a depthwise filter this long"),
)
"""The first rule that names a node gives the reason. To add one, add a line."""


def _rule(activations: ActivationType, reason: str) -> NodePrecision:
    return NodePrecision(activations=activations, reason=reason, source=Source.RULE)


def _is_float_rule(own: NodePrecision) -> bool:
    return own.source is Source.RULE and own.activations is ActivationType.FLOAT16


def _float_nodes(graph: ir.Graph, scheme: Scheme) -> Iterator[ir.Node]:
    named: Collection[str] = {n for n, own in scheme.per_node.items() if _is_float_rule(own)}
    return (node for node in graph if str(node.name) in named)
