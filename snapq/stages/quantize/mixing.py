"""Mixed precision in a run: held-out samples, who evaluates, what is written down."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

from snapq.config import MixedPrecision
from snapq.npu.runtime import status
from snapq.precision import Promotion
from snapq.quantization.analysis.sensitivity import Analysis, analyze_tensors
from snapq.quantization.mixed_precision.mixed import promote
from snapq.quantization.notes import Note, NoteKind
from snapq.records import Origin
from snapq.stages.artifact import SENSITIVITY, TRADEOFF
from snapq.stages.base import Context
from snapq.stages.quantize.held_out import Rest, evaluator, float_scores, held_count, held_out
from snapq.stages.quantize.job import QuantizationJob
from snapq.stages.quantize.mixed_records import Writer, notes
from snapq.stages.quantize.never_slower import Kept, timed_device
from snapq.stages.quantize.scoring import Estimator, run_on_cpu, runner, sensitivity_records
from snapq.storage import write_json

_RANKED_ON = 4
"""Samples on which single tensors are evaluated; it only gives the order of promotions."""


def mix(
    job: QuantizationJob, options: MixedPrecision, label: str, context: Context, folder: Path
) -> Kept:
    """Finds and makes the fastest mix of precisions that keeps the budget.

    Writes the sensitivity of each tensor and every candidate into `folder`.

    Raises:
        ConfigError: there is no metric to measure a drop with, or samples lack labels.
        DataError: a sample does not fit the model or is not finite.
    """
    data, progress = context.calibration, context.progress
    assert data is not None
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
    device = timed_device(context) if usable else None
    estimate = Estimator(device, context) if device is not None else None
    quick = evaluator(options, held, run_on_cpu, context, "Evaluate a mix on the CPU")
    run = runner(where, context.devices[0])
    place = "simulator" if usable else "CPU"
    final = evaluator(options, held, run, context, f"Prove a mix on the {place}")
    kinds = [Promotion(kind) for kind in options.to]
    if not all("fp16" in one.precisions for one in context.devices):
        kinds = [kind for kind in kinds if kind is not Promotion.FLOAT16]
    with progress.track("Quantize each tensor alone", analysis.tensor_count()) as advance:
        sensitivities = analyze_tensors(analysis, None, advance)
    writer = Writer(label, options, held, where, context, estimate, study.scheme)
    mixed = promote(
        analysis,
        sensitivities,
        (quick, final),
        estimate,
        kinds,
        lambda trial: progress.say(writer.line(trial)),
    )
    curve = [writer.record(trial, mixed.chosen) for trial in mixed.trials]
    write_json(folder / TRADEOFF, [record.to_json() for record in curve])
    tensors = sensitivity_records(sensitivities, Origin.HOST, "", len(samples), {})
    write_json(folder / SENSITIVITY, [record.to_json() for record in tensors])
    result = analysis.quantized(mixed.chosen.scheme)
    found = next(record for record in curve if record.chosen)
    scores = float_scores(held, context) if options.max_drop is not None else ()
    texts = notes(found, curve, options, held, scores)
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
            "estimated_us": found.us,
            "estimated_on": found.estimated_on,
        },
    )
