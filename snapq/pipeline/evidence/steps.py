"""What every step did to accuracy, size and time, where a run cuts or trains its model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snapq.errors import SnapqError
from snapq.pipeline.cache import Cache
from snapq.pipeline.evidence.subject import Subject
from snapq.pipeline.steps import Finished
from snapq.progress import Progress
from snapq.records import StepRecord, Where
from snapq.stages.artifact import MODEL
from snapq.stages.base import Context
from snapq.stages.prune import CUT
from snapq.storage import sha256_file

if TYPE_CHECKING:
    pass

CHANGING = {"prune", "finetune"}
"""Stages that change what the model computes; without one, float and package say it all."""


@dataclass(frozen=True)
class Steps:
    """The steps of a run, and why a figure is missing."""

    records: tuple[StepRecord, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Step:
    """One model on the way.

    Attributes:
        label: what was done last.
        stage: index of its stage.
        model: the ONNX file.
        precision: `float`, or weights and activations.
    """

    label: str
    stage: int
    model: Path
    precision: str


def prove(
    subject: Subject, finished: Sequence[Finished], context: Context, cache: Cache, told: Progress
) -> Steps:
    """Evaluates the model after each step on this machine's CPU, and estimates it.

    A step is a stage, and in the prune stage the cut and the repair. Every estimate is that of the
    model as the run would package it, so that the steps compare; cuts change it, training does not.
    """
    if not any(item.step.name in CHANGING for item in finished):
        return Steps()
    steps = tuple(_steps(finished))
    values = _evaluate(subject, steps, cache, told)
    records, notes = [], []
    with told.track("Estimate steps", len(steps)) as advance:
        for index, step in enumerate(steps):
            estimate = None
            try:
                estimate = _estimate(step, context, subject)
            except SnapqError as error:
                notes.append(f"No estimate after {step.label}: {error}")
            size = _size(step.model)
            records.append(
                StepRecord(
                    label=step.label,
                    stage=step.stage,
                    precision=step.precision,
                    estimate=estimate,
                    **size,
                    **(values[index] if values else {}),
                )
            )
            advance(1)
    return Steps(tuple(records), tuple(dict.fromkeys(notes)))


def _steps(finished: Sequence[Finished]) -> Iterator[_Step]:
    for item in finished:
        name, artifact = item.step.name, item.artifact
        if name in ("source", "package"):
            continue
        cut = artifact.folder / CUT
        label = name
        if name == "prune" and cut.is_file():
            yield _Step("cut", item.step.index, cut, artifact.precision)
            label = "repair"
        elif name == "prune":
            done = artifact.record.details
            label = "cut" if "layers" in done or "blocks" in done else "mask"
        yield _Step(label, item.step.index, artifact.folder / MODEL, artifact.precision)


def _estimate(step: _Step, context: Context, subject: Subject) -> Any:
    from snapq.graph import io
    from snapq.stages.estimating import estimator

    if not subject.setting.devices:
        return None
    found = estimator(context, subject.device)(io.load(step.model))
    label = context.final_precision if step.precision == "float" else step.precision
    return found.model_copy(update={"label": f"{step.label} at {label}"})


def _size(path: Path) -> dict[str, int]:
    """Multiply-accumulates and bytes of constants."""
    from snapq.graph import cost, io

    model = io.load(path)
    constants = (value.const_value for value in model.graph.initializers.values())
    return {
        "macs": sum(node.macs for node in cost.node_costs(model)),
        "weight_bytes": sum(tensor.nbytes for tensor in constants if tensor is not None),
    }


def _evaluate(
    subject: Subject, steps: Sequence[_Step], cache: Cache, told: Progress
) -> list[dict[str, Any]]:
    """Metric and SQNR of every step over the evaluation samples, in one pass."""
    data, config = subject.setting.evaluation, subject.setting.config
    if data is None:
        return []
    key = Cache.key(
        "steps",
        source=subject.source.sha256,
        models=[sha256_file(step.model) for step in steps],
        data=data.fingerprint(),
        metric=config.metric,
        boundary=subject.setting.boundary.to_json(),
    )
    kept = cache.value(key)
    if kept is None:
        kept = _compare(subject, steps, told)
        cache.keep_value(key, kept)
    return list(kept)


def _compare(subject: Subject, steps: Sequence[_Step], told: Progress) -> list[dict[str, Any]]:
    from snapq.cpu import CpuModel
    from snapq.evaluation.metrics import Fidelity, metrics

    data, config = subject.setting.evaluation, subject.setting.config
    assert data is not None
    plan = subject.setting.boundary
    source = CpuModel(subject.source.model)
    models = [CpuModel(step.model) for step in steps]
    meters = [Fidelity() for _ in steps]
    judges = [next(iter(metrics(config.metric, config.folder)), None) for _ in steps]

    with told.track("Evaluate steps", len(data)) as advance:
        for sample in data:
            reference = source.run(sample.feeds)
            for step, model, meter, judge in zip(steps, models, meters, judges, strict=True):
                is_float = step.precision == "float"
                found = model.run(sample.feeds if is_float else plan.model_feeds(sample))
                meter.update(reference, found)
                if judge and sample.label is not None:
                    judge.update(found, sample.label)
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
                "where": Where.HOST.value,
                "random_inputs": data.random,
            }
        )
    return values
