"""What every step did to accuracy, size and time, where a run cuts or trains its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snapq.cpu import CpuModel
from snapq.errors import SnapqError
from snapq.evaluation.metrics import Fidelity
from snapq.graph import cost, io
from snapq.pipeline.available import StepModel
from snapq.pipeline.evidence.base import Evidence, Found, Subject, as_given
from snapq.records import EstimateRecord, Figures, Origin, StepRecord
from snapq.stages.base import ESTIMATE, Input, Reads
from snapq.stages.estimating import estimator


def gather(subject: Subject) -> Found:
    """Evaluates the model after each step on this machine's CPU, and estimates it.

    There are steps where a stage changes what the model computes; without one, float and package
    say it all. Every estimate is that of the model as the run would package it, so that the steps
    compare; cuts change it, training does not.
    """
    if not any(step.changes for step in subject.steps):
        return Found()
    values = _evaluate(subject)
    records: list[StepRecord] = []
    notes: list[str] = []
    failures: list[str] = []
    with subject.progress.track("Estimate steps", len(subject.steps)) as advance:
        for index, step in enumerate(subject.steps):
            estimate = None
            try:
                estimate = _estimate(step, subject)
            except SnapqError as error:
                notes.append(f"No estimate after {step.label}: {error}")
                failures += notes[-1:] if error.transient else []
            records.append(
                StepRecord(
                    label=step.label,
                    stage=step.index,
                    precision=step.precision,
                    estimate=estimate,
                    **_size(step.model),
                    **(values[index] if values else {}),
                )
            )
            advance(1)
    return Found(Figures(steps=tuple(records)), tuple(dict.fromkeys(notes)), tuple(failures))


def _estimate(step: StepModel, subject: Subject) -> EstimateRecord:
    found = estimator(subject, subject.device)(io.load(step.model))
    label = subject.final_precision if step.precision == "float" else step.precision
    return found.model_copy(update={"label": f"{step.label} at {label}"})


def _size(path: Path) -> dict[str, int]:
    """Multiply-accumulates and bytes of constants."""
    model = io.load(path)
    constants = (value.const_value for value in model.graph.initializers.values())
    return {
        "macs": cost.total_macs(model),
        "weight_bytes": sum(tensor.nbytes for tensor in constants if tensor is not None),
    }


def _evaluate(subject: Subject) -> list[dict[str, Any]]:
    """Metric and SQNR of every step over the evaluation samples, in one pass."""
    data, plan, steps = subject.evaluation, subject.plan, subject.steps
    if data is None:
        return []
    source = as_given(subject)
    models = [CpuModel(step.model) for step in steps]
    meters = [Fidelity() for _ in steps]
    judges = [next(iter(subject.metrics()), None) for _ in steps]
    tail = None if subject.tail is None else subject.tail.open()

    with subject.progress.track("Evaluate steps", len(data)) as advance:
        for sample in data:
            reference = source.run(sample.feeds)
            for step, model, meter, judge in zip(steps, models, meters, judges, strict=True):
                is_float = step.precision == "float"
                found = model.run(sample.feeds if is_float else plan.model_feeds(sample))
                meter.update(reference, found)
                if judge and sample.label is not None:
                    whole = found if tail is None else tail.run(sample, found)
                    judge.update(whole, sample.label)
            advance(1)
    values = []
    for meter, judge in zip(meters, judges, strict=True):
        worst = min(meter.results(), key=lambda output: output.sqnr_db)
        judged = judge if judge and judge.samples else None
        values.append(
            {
                "metric": judged.name if judged else None,
                "value": judged.value() if judged else None,
                "sqnr_db": worst.sqnr_db,
                "samples": len(data),
                "dataset": data.description,
                "where": Origin.HOST.value,
                "random_inputs": data.random,
            }
        )
    return values


EVIDENCE = Evidence(
    "steps",
    Reads((Input.GIVEN, Input.STEPS), (Input.EVALUATION, Input.METRICS, Input.TAIL, *ESTIMATE)),
    gather,
)
