"""Post-training quantization of a whole model: the front door of this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.errors import DataError, ModelError
from snapq.graph.node_order import last_reader_first
from snapq.operators import Encodings, Role
from snapq.precision import WeightType
from snapq.quantization.calibration.calibrate import Samples, calibrate
from snapq.quantization.calibration.observers.base import Observer
from snapq.quantization.calibration.observers.collector import Collector, TensorStatistics
from snapq.quantization.encodings import Encoding, QuantType, asymmetric
from snapq.quantization.precision_rules import keep_wide as wide
from snapq.quantization.precision_rules.keep_wide import (
    beyond_float16,
    in_float,
    without_float,
)
from snapq.quantization.precision_rules.ranges import with_headroom
from snapq.quantization.precision_rules.saturation import told_apart
from snapq.quantization.qdq.clamps import absorb_clamps
from snapq.quantization.qdq.decisions import (
    KEPT_FLOAT,
    Decision,
    constant,
    decide,
    is_float,
    notes,
)
from snapq.quantization.qdq.insertion import Inserter
from snapq.quantization.qdq.islands import separate
from snapq.quantization.qdq.lowering import lower
from snapq.quantization.qdq.masks import (
    logits,
    masked_sums,
    unmasked,
    unsaturated,
)
from snapq.quantization.qdq.nan_tests import (
    always_false,
    left_out,
    take_away,
)
from snapq.quantization.qdq.parameters import Tuned
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.qdq.ties import (
    Groups,
    Range,
    build,
    constant_range,
)

__all__ = ["Quantized", "Scheme", "lifted", "observe", "quantize"]


@dataclass(frozen=True)
class Quantized:
    """A quantized model and what is known of it.

    Attributes:
        model: the model with Q and DQ nodes; inputs and outputs keep their names and float types.
        encodings: encoding of each quantized tensor, weights and biases too, by its float name.
        statistics: what calibration saw of each tensor that it watched.
        notes: sentences for the reader: nodes that stay in float or have another type, and why.
        seen: the same in full, to quantize again with.
    """

    model: ir.Model
    encodings: dict[str, Encoding]
    statistics: dict[str, TensorStatistics]
    notes: tuple[str, ...]
    seen: Mapping[str, Collector] = field(default_factory=dict)


def quantize(
    model: ir.Model,
    samples: Samples | None,
    scheme: Scheme,
    *,
    fixed: Mapping[str, Encoding] | None = None,
    known: Mapping[str, Collector] | None = None,
    tuned: Mapping[str, Tuned] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Quantized:
    """Quantizes a prepared float model for the NPU.

    Args:
        model: a model with fixed shapes; left as it is.
        samples: calibration samples, read once; None where every range is imposed or known.
        scheme: precision, and the architecture that it must be legal on.
        fixed: encodings imposed on tensors, by name: graph inputs, what nodes give, and weights.
            Where an imposed type is not the scheme's, the tensor is converted where it is first
            computed with; a weight whose encoding the node cannot take has one of its own.
        known: what `observe` saw of this model; tensors that it holds are not watched again.
        tuned: weights that algorithms found, by name of the node.
        progress: called with 1 for each calibration sample.

    Raises:
        ModelError: the model has Q or DQ nodes already, or an opset too old for the scheme.
        DataError: a sample does not fit, is not finite, or there is none although tensors need a
            range.
    """
    imposed = dict(fixed or {})
    _check(model, scheme)
    result = lifted(model)
    graph = result.graph
    scheme = lower(graph, scheme)
    last_reader_first(graph)
    decisions = decide(result, scheme, imposed)
    for node, decision in decisions.items():
        if decision.dtype is None:
            node.metadata_props[KEPT_FLOAT] = decision.reason or "nothing to quantize"
    groups = build(graph, decisions, imposed)
    watched = groups.observed()
    masked = logits(graph)
    needed = [str(value.name) for value in watched]
    useful = (*_read_otherwise(decisions, groups, scheme), *in_float(graph, scheme))
    names = list(dict.fromkeys((*needed, *useful)))
    seen = {name: known[name] for name in names if name in known} if known else {}
    missing = [name for name in needed if name not in seen]
    if missing and samples is None:
        raise _no_samples(missing)
    if missing:
        missing = [name for name in names if name not in seen]
        seen |= calibrate(result, samples or (), missing, progress, logits=masked)
    if beyond_float16(graph, scheme, seen):
        narrow = without_float(scheme)
        return quantize(model, samples, narrow, fixed=fixed, known=seen, tuned=tuned)
    ranges = {
        value: with_headroom(
            _maker(value), _range(seen[name], scheme.observer, groups.dtype(value), name in masked)
        )
        for value in _values(graph)
        if value in groups and (name := str(value.name)) in seen
    }
    ranges = {value: _useful(value, found, decisions) for value, found in ranges.items()}
    reach = masked_sums(
        graph, lambda value: groups.range(value, ranges) if value in groups else None
    )
    ranges |= {
        value: (max(ranges[value][0], low), max(ranges[value][1], low))
        for value, low in reach.items()
        if value in ranges
    }
    for node, decision in decisions.items():
        if decision.encodings is Encodings.JOINED and decision.dtype:
            _join(groups, node, decision, ranges)
    tests = always_false(decisions, groups)
    encodings = _encodings(graph, groups, ranges)
    decisions = take_away(graph, decisions, tests)
    uses = _uses(decisions, groups, encodings, ranges, scheme, imposed)
    decisions, encodings = absorb_clamps(graph, decisions, encodings)
    inserter = Inserter(graph, encodings, uses, imposed, tuned or {})
    inserter.run(decisions)
    separate(graph)
    return Quantized(
        result,
        inserter.written,
        {name: collector.statistics() for name, collector in seen.items()},
        (*notes(decisions, scheme.architecture), *wide.notes(scheme, decisions), *left_out(tests)),
        seen,
    )


def observe(
    model: ir.Model, samples: Samples, progress: Callable[[int], None] | None = None
) -> dict[str, Collector]:
    """Watches every tensor of real numbers once, for any number of `quantize(known=…)`.

    Raises:
        DataError: a sample does not fit or is not finite, or there is none.
    """
    source = lifted(model)
    lower(source.graph, Scheme())
    values = (*source.graph.inputs, *(value for node in source.graph for value in node.outputs))
    names = [str(value.name) for value in values if value.name and is_float(value)]
    return calibrate(source, samples, names, progress, logits=logits(source.graph))


def lifted(model: ir.Model) -> ir.Model:
    """A copy of a model with all its constants as initializers."""
    copy = model.clone()
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(copy)
    return copy


def _range(seen: Collector, rule: Observer, dtype: QuantType, logit: bool) -> Range:
    return (unmasked(seen) if logit else None) or rule.range(seen, dtype)


def _useful(value: ir.Value, limits: Range, decisions: Mapping[ir.Node, Decision]) -> Range:
    """The part of a range in which the readers of a tensor see a difference."""
    low, high = told_apart(value, decisions)
    return float(np.clip(limits[0], low, high)), float(np.clip(limits[1], low, high))


def _maker(value: ir.Value) -> str:
    """The operator that makes a tensor; empty for an input."""
    node = value.producer()
    return node.op_type if node is not None else ""


def _no_samples(names: Sequence[str]) -> DataError:
    shown = ", ".join(f"'{name}'" for name in names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return DataError(
        f"{len(names)} tensors have no encoding, and no samples are given to find their ranges: "
        f"{shown}{more}.",
        where="data.calibration",
        hint="Give calibration samples, or encodings for these tensors too.",
    )


def _check(model: ir.Model, scheme: Scheme) -> None:
    for node in model.graph.all_nodes():
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            raise ModelError(
                f"The model is quantized already: node '{node.name}' is a {node.op_type}.",
                hint="Give the float model.",
            )
    opset = model.opset_imports.get("", 0)
    weights = {scheme.weights, *(own.weights for own in scheme.per_node.values())}
    new_types = scheme.largest_activation_bits > 8 or weights & {WeightType.INT4, WeightType.INT16}
    wanted = 21 if new_types else 13
    if opset < wanted:
        raise ModelError(
            f"The model has opset {opset}; types of 4 and of 16 bits need {wanted}.",
            hint="Run the prepare stage first; it brings the model to opset 21.",
        )


def _join(
    groups: Groups, node: ir.Node, decision: Decision, ranges: Mapping[ir.Value, Range]
) -> None:
    output = node.outputs[0]
    if output not in groups:
        return
    computed = []
    for value in node.inputs:
        tensor = constant(value)
        if tensor is not None:
            groups.include(output, constant_range(tensor))
        elif value is not None and value in groups and groups.dtype(value) is decision.dtype:
            computed.append(value)
    groups.join(node, computed, ranges)


def _encodings(
    graph: ir.Graph, groups: Groups, ranges: Mapping[ir.Value, Range]
) -> dict[ir.Value, Encoding]:
    return {value: groups.encoding(value, ranges) for value in _values(graph) if value in groups}


def _values(graph: ir.Graph) -> tuple[ir.Value, ...]:
    """What is fed, and what nodes give."""
    return (*graph.inputs, *(value for node in graph for value in node.outputs))


def _read_otherwise(
    decisions: Mapping[ir.Node, Decision], groups: Groups, scheme: Scheme
) -> list[str]:
    """Tensors that some node reads in another type than they are held in.

    Where a tensor shares its encoding, the range of all that share it says little of it alone, and
    for the reader it gets an encoding of its own.
    """
    return [
        str(value.name)
        for node, decision in decisions.items()
        for index, value in enumerate(node.inputs)
        if value is not None
        and value in groups
        and (wanted := _wanted_type(index, decision, scheme)) is not None
        and groups.dtype(value) is not wanted
    ]


def _wanted_type(index: int, decision: Decision, scheme: Scheme) -> QuantType | None:
    """The type in which a quantized node reads an activation; None where it reads none there."""
    rule, dtype = decision.rule, decision.dtype
    if rule is None or dtype is None:
        return None
    if rule.role(index) not in (Role.DATA, Role.WEIGHT):
        return None
    if index == 1 and dtype.bits > 8 and scheme.architecture < rule.npu.second_8bit_below:
        return QuantType.UINT8
    return dtype


def _uses(
    decisions: Mapping[ir.Node, Decision],
    groups: Groups,
    encodings: Mapping[ir.Value, Encoding],
    ranges: Mapping[ir.Value, Range],
    scheme: Scheme,
    imposed: Mapping[str, Encoding],
) -> dict[tuple[ir.Node, int], Encoding]:
    """How a node reads an input, where that is not how the tensor is held."""
    uses = {}
    for node, decision in decisions.items():
        rule, dtype = decision.rule, decision.dtype
        if rule is None or dtype is None:
            continue
        moves = rule.encodings in (Encodings.SHARED, Encodings.JOINED)
        held = next((encodings[v] for v in node.outputs if v in encodings), None)
        for index, value in enumerate(node.inputs):
            if value is None or rule.role(index) not in (Role.DATA, Role.WEIGHT):
                continue
            tensor = constant(value)
            if tensor is not None and rule.role(index) is Role.WEIGHT:
                continue
            if tensor is not None:
                given = imposed.get(str(value.name))
                same = given is not None and given.dtype is dtype and given.axis is None
                limits = _summand_range(node, index, tensor, held, encodings)
                own = given if given and same else asymmetric(*limits, dtype)
                uses[node, index] = held if moves and held else own
                continue
            wanted = _wanted_type(index, decision, scheme) or dtype
            if rule.encodings is Encodings.SHARED and held is not None and held != encodings[value]:
                uses[node, index] = held
            elif encodings[value].dtype is not wanted:
                own_range = None if groups.fixed(value) else ranges.get(value)
                limits = own_range or groups.range(value, ranges)
                uses[node, index] = asymmetric(*limits, wanted)
    return uses


def _summand_range(
    node: ir.Node,
    index: int,
    tensor: ir.TensorProtocol,
    result: Encoding | None,
    encodings: Mapping[ir.Value, Encoding],
) -> Range:
    """The range of a constant, of a summand only as far as the sum does not saturate."""
    low, high = constant_range(tensor)
    computed = [encodings[v] for v in node.inputs if v is not None and v in encodings]
    limits = unsaturated(node, index, computed[0], result) if computed and result else None
    if limits is None:
        return low, high
    return min(max(low, limits[0]), limits[1]), max(min(high, limits[1]), limits[0])
