"""Post-training quantization of a whole model: the front door of this package.

`LoweredModel -> QdqPlan -> Quantized`: the graph in the form in which it is quantized, what each
tensor and node shall have, and the model with Q and DQ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import onnx_ir as ir

from snapq.errors import DataError, ModelError
from snapq.graph.float16.notes import float16_notes
from snapq.graph.float16.run import write_for_float16
from snapq.graph.inference import infer_shapes
from snapq.graph.node_order import last_reader_first
from snapq.precision import ActivationType, WeightType
from snapq.quantization.calibration.calibrate import Samples, calibrate
from snapq.quantization.calibration.observers.collector import Collector, TensorStatistics
from snapq.quantization.encodings import Encoding
from snapq.quantization.notes import Note, NoteKind
from snapq.quantization.precision_rules.joined_outputs import joined_outputs
from snapq.quantization.precision_rules.keep_wide import (
    FLOAT_FROM,
    beyond_float16,
    in_float,
    without_float,
)
from snapq.quantization.qdq.decisions import KEPT_FLOAT, is_float
from snapq.quantization.qdq.insertion import Inserter
from snapq.quantization.qdq.islands import separate
from snapq.quantization.qdq.logits import logits
from snapq.quantization.qdq.lowering.average_bins_by_maps import average_bins_by_maps
from snapq.quantization.qdq.lowering.expand_softplus import expand_softplus
from snapq.quantization.qdq.lowering.multiply_repeated_rows import multiply_repeated_rows
from snapq.quantization.qdq.lowering.order import lower
from snapq.quantization.qdq.lowering.split_prelu import split_prelu
from snapq.quantization.qdq.order import BEFORE_SAMPLES, MEASURED, ON_RANGES, planned
from snapq.quantization.qdq.parameters import Tuned
from snapq.quantization.qdq.passes.convert_inputs import read_otherwise
from snapq.quantization.qdq.plan import QdqPlan
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.qdq.searched_codes import search_codes
from snapq.quantization.qdq.varied_fillings import vary_fillings

__all__ = ["Quantized", "Scheme", "encodings", "observe", "quantize"]

_NOTHING: Mapping[str, Collector] = {}

_COUNTED = 8
"""Samples whose values are counted for the reader where no range rests on the counts."""


@dataclass(frozen=True)
class Quantized:
    """A quantized model and what is known of it.

    Attributes:
        model: the model with Q and DQ nodes; inputs and outputs keep their names and float types.
        encodings: encoding of each quantized tensor, weights and biases too, by its float name.
        statistics: what calibration saw of each tensor that it watched.
        notes: for the reader: nodes that stay in float or have another type, and why.
        seen: the same as `statistics` in full, to quantize again with.
    """

    model: ir.Model
    encodings: dict[str, Encoding]
    statistics: dict[str, TensorStatistics]
    notes: tuple[Note, ...]
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
    start = Start(model, scheme, dict(fixed or {}), dict(tuned or {}))
    return _written(_plan(start, samples, known or {}, progress))


def encodings(
    model: ir.Model,
    scheme: Scheme,
    fixed: Mapping[str, Encoding],
    known: Mapping[str, Collector],
) -> dict[str, Encoding]:
    """The encodings of what nodes read and give that `quantize` would choose, by name.

    Arguments and errors are those of `quantize`.
    """
    plan = _plan(Start(model, scheme, fixed, {}), None, known)
    return {str(value.name): encoding for value, encoding in plan.encodings.items()}


@dataclass(frozen=True)
class Start:
    """What a plan starts from; see `quantize`."""

    model: ir.Model
    scheme: Scheme
    fixed: Mapping[str, Encoding]
    tuned: Mapping[str, Tuned]


def _plan(
    start: Start,
    samples: Samples | None,
    known: Mapping[str, Collector],
    progress: Callable[[int], None] | None = None,
) -> QdqPlan:
    """What each tensor and node shall have."""
    _check(start.model, start.scheme)
    lowered = lower(start.model, start.scheme)
    last_reader_first(lowered.model.graph)
    first = QdqPlan(lowered.model, lowered.scheme, dict(start.fixed), dict(start.tuned))
    plan = planned(BEFORE_SAMPLES, first)
    plan = replace(plan, seen=_watched(plan, samples, known, progress))
    if beyond_float16(plan.graph, plan.scheme, plan.seen):
        narrow = without_float(plan.scheme)
        return _plan(replace(start, scheme=narrow), samples, plan.seen)
    unlike = joined_outputs(planned(MEASURED, plan))
    if unlike:
        wider = replace(start.scheme, per_node={**start.scheme.per_node, **unlike})
        return _plan(replace(start, scheme=wider), samples, plan.seen)
    return planned(ON_RANGES, plan)


def observe(
    model: ir.Model,
    samples: Samples,
    progress: Callable[[int], None] | None = None,
    *,
    known: Mapping[str, Collector] = _NOTHING,
) -> dict[str, Collector]:
    """Watches every tensor of real numbers once, for any number of `quantize(known=…)`.

    Of those that are `known` what was seen before is given again.

    Raises:
        DataError: a sample does not fit or is not finite, or there is none.
    """
    source = lower(model, Scheme()).model
    # What is written of some nodes at 16 bits alone is watched too; their own values stay.
    wide = Scheme(activations=ActivationType.UINT16)
    for lowering in (expand_softplus, split_prelu, multiply_repeated_rows):
        lowering(source.graph, wide)
    average_bins_by_maps(source.graph, wide, keep=True)
    source.graph.sort()
    values = QdqPlan(source, Scheme()).values
    names = [str(value.name) for value in values if value.name and is_float(value)]
    missing = [name for name in names if name not in known]
    found = {name: known[name] for name in names if name in known}
    if missing or not found:
        found |= calibrate(source, samples, missing, progress, logits=logits(source.graph))
    return found


def _watched(
    plan: QdqPlan,
    samples: Samples | None,
    known: Mapping[str, Collector],
    progress: Callable[[int], None] | None,
) -> dict[str, Collector]:
    """What calibration sees of the tensors that need a range, or for which one is useful."""
    needed = [str(value.name) for value in plan.groups.observed()]
    useful = (*read_otherwise(plan), *in_float(plan.graph, plan.scheme))
    names = dict.fromkeys((*needed, *useful))
    seen = {name: known[name] for name in names if name in known}
    missing = [name for name in needed if name not in seen]
    if missing and samples is None:
        raise _no_samples(missing)
    if missing:
        missing = [name for name in names if name not in seen]
        masked = logits(plan.graph)
        counted = None if plan.scheme.observer.counts else _COUNTED
        given = samples or ()
        seen |= calibrate(plan.model, given, missing, progress, logits=masked, counted=counted)
    return seen


def _written(plan: QdqPlan) -> Quantized:
    """The plan's model with Q and DQ."""
    inserter = Inserter(plan)
    inserter.run()
    known = set(plan.graph)
    search_codes(plan.graph, plan.scheme)
    vary_fillings(plan.graph)
    if not known.issuperset(plan.graph):
        infer_shapes(plan.model)
    in_float16 = [node for node in plan.graph if KEPT_FLOAT in node.metadata_props]
    on_npu = plan.scheme.float16 and plan.scheme.architecture >= FLOAT_FROM
    told = float16_notes(plan.graph, in_float16) if on_npu else ()
    write_for_float16(plan.model, in_float16)
    separate(plan.graph)
    return Quantized(
        plan.model,
        inserter.written,
        {name: collector.statistics() for name, collector in plan.seen.items()},
        (*plan.notes, *(Note(NoteKind.ADVICE, one.nodes, one.text) for one in told)),
        plan.seen,
    )


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
