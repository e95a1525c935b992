"""Mixed precision in a run: held-out samples, who evaluates, what is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path

import onnx_ir as ir

from snapq.config import MixedPrecision, QuantizeConfig
from snapq.devices.profiles import DeviceProfile, nearest_with_estimate
from snapq.errors import QnnError
from snapq.graph.behind import chosen_outputs
from snapq.npu.arithmetic import distinct
from snapq.npu.runtime import status
from snapq.precision import ActivationType, Promotion, precision_name
from snapq.quantization.analysis.sensitivity import Analysis, Sensitivity, analyze_tensors
from snapq.quantization.mixed_precision.faster_at_16_bits import faster_at_16_bits
from snapq.quantization.mixed_precision.mixed import promote
from snapq.quantization.mixed_precision.trials import Evaluate, Evaluation
from snapq.quantization.notes import Note, NoteKind
from snapq.quantization.qdq.scheme import NodePrecision
from snapq.quantization.quantize import Quantized
from snapq.records import Origin
from snapq.stages.artifact import SENSITIVITY, TRADEOFF
from snapq.stages.base import Context
from snapq.stages.quantize.held_out import (
    HeldOut,
    Rest,
    evaluator,
    float_scores,
    held_count,
    held_out,
)
from snapq.stages.quantize.job import QuantizationJob
from snapq.stages.quantize.mixed_records import Writer, notes
from snapq.stages.quantize.never_slower import Kept, free_nodes
from snapq.stages.quantize.scoring import (
    Estimator,
    estimated_device,
    run_on_cpu,
    runner,
    sensitivity_records,
)
from snapq.storage import write_json

_RANKED_ON = 4
"""Samples on which single tensors are evaluated; it only gives the order of promotions."""


def mix(
    job: QuantizationJob, asked: QuantizeConfig, label: str, context: Context, folder: Path
) -> Kept:
    """Finds and makes the fastest mix of precisions that keeps the budget.

    With `precision: auto` it begins with the nodes at 16 bits that are faster so, and does not stop
    at 8 bits where all of the model is faster otherwise.

    Writes every candidate into `folder`, and the sensitivity of each tensor where it was asked for.

    Raises:
        ConfigError: there is no metric to measure a drop with, or samples lack labels.
        DataError: a sample does not fit the model or is not finite.
    """
    data, progress, options = context.calibration, context.progress, asked.budget
    assert data is not None
    assert options is not None
    count = held_count(data, options)
    rest = Rest(data, count) if count else data
    held = held_out(job, data, options, context)
    with progress.track("Calibrate", len(rest)) as advance:
        tuned = job.tuned(rest, advance)
    study = tuned.study
    samples = list(islice(job.feeds(rest), _RANKED_ON))
    references = list(run_on_cpu(study.model, samples))
    analysis = Analysis(
        study.model,
        study.seen,
        study.scheme,
        study.fixed,
        samples,
        references,
        run_on_cpu,
        study.tuned,
    )
    usable = status().usable
    where = Origin.SIMULATED if usable else Origin.HOST
    device = estimated_device(context) if usable else None
    estimate = Estimator(device, context) if device is not None else None
    auto = asked.precision == "auto"
    wide = _wide(analysis, job, device, context) if auto and device is not None else {}
    if wide:
        per_node = {**analysis.scheme.per_node, **wide}
        analysis = replace(analysis, scheme=replace(analysis.scheme, per_node=per_node))
        label = f"{label}+{precision_name(asked.weights, ActivationType.UINT16)}"
    quick = evaluator(options, held, run_on_cpu, context, "Evaluate a mix on the CPU")
    final = _on_all(options, held, where, context)
    kinds = [Promotion(kind) for kind in options.to]
    if not all("fp16" in one.precisions for one in context.devices):
        kinds = [kind for kind in kinds if kind is not Promotion.FLOAT16]

    @cache
    def sensitivities() -> tuple[Sensitivity, ...]:
        with progress.track("Quantize each tensor alone", analysis.tensor_count()) as advance:
            found = tuple(analyze_tensors(analysis, None, advance))
        tensors = sensitivity_records(found, Origin.HOST, "", len(samples), {})
        write_json(folder / SENSITIVITY, [record.to_json() for record in tensors])
        return found

    writer = Writer(label, options, held, where, context, estimate, analysis.scheme)
    mixed = promote(
        analysis,
        sensitivities,
        (quick, final),
        estimate,
        kinds,
        lambda trial: progress.say(writer.line(trial)),
        thorough=auto,
        free=free_nodes(job, context) if auto else (),
    )
    curve = [writer.record(trial, mixed.chosen) for trial in mixed.trials]
    write_json(folder / TRADEOFF, [record.to_json() for record in curve])
    result = analysis.quantized(mixed.chosen.scheme)
    found = next(record for record in curve if record.chosen)
    scores = float_scores(held, context) if options.max_drop is not None else ()
    texts = notes(found, curve, options, held, scores, chosen_outputs(study.model.graph))
    told = (*(Note(NoteKind.TUNING, (), text) for text in texts), *tuned.notes)
    return Kept(
        replace(result, notes=(*told, *result.notes)),
        writer.precision(mixed.chosen),
        {
            "budget_met": found.met,
            "nodes": {"to": found.to, "names": list(found.nodes)},
            "value": found.value,
            "unit": found.unit,
            "where": found.where.value,
            "held_out": len(held.feeds),
            "candidates": len(curve),
            "at_16_bits": sorted(wide),
            "estimated_us": found.us,
            "estimated_on": found.estimated_on,
        },
    )


def _on_all(options: MixedPrecision, held: HeldOut, where: Origin, context: Context) -> Evaluate:
    """The final evaluation: the worst of all NPUs that may compute differently, or on the CPU."""
    if where is not Origin.SIMULATED:
        return evaluator(options, held, run_on_cpu, context, "Prove a mix on the CPU")
    devices = [first for first, *_ in distinct(context.devices, "mix")]
    proofs = [
        evaluator(options, held, runner(where, one), context, f"Prove a mix on {one.name}")
        for one in devices
    ]

    def worst(model: ir.Model) -> Evaluation:
        found = [proof(model) for proof in proofs]
        return min(found, key=lambda one: (one.met, one.value))

    return worst


def _wide(
    analysis: Analysis, job: QuantizationJob, device: DeviceProfile, context: Context
) -> Mapping[str, NodePrecision]:
    """The nodes that take less time at 16 bits than at 8, by the estimate."""
    free = free_nodes(job, context)
    if not free:
        return {}

    def make(nodes: Mapping[str, NodePrecision]) -> Quantized:
        per_node = {**analysis.scheme.per_node, **nodes}
        return analysis.quantized(replace(analysis.scheme, per_node=per_node))

    estimate = Estimator(device, context)
    with context.progress.track("Compare with 16 bits and fp16"):
        first = analysis.quantized(analysis.scheme)
        try:
            # A device without fp16 is compared with what the nearest one takes at fp16.
            at_fp16 = Estimator(nearest_with_estimate(device), context)(analysis.model)
            found = faster_at_16_bits(first, free, make, estimate, at_fp16)
        except QnnError as error:
            if error.transient:
                raise
            return {}  # of what does not compile so, nothing can be said
    return found.nodes if found is not None else {}
