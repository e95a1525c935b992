"""Mixed precision in a run: held-out samples, who judges, what is written down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snapq.config import MixedPrecision
from snapq.errors import ConfigError
from snapq.precision import ActivationType, precision_name
from snapq.records import TradeoffRecord, Where
from snapq.stages.base import Context
from snapq.stages.judging import Stopwatch, run_on_cpu, runner, sensitivity_records
from snapq.stages.quantizing import Order
from snapq.stages.racing import timed_device
from snapq.storage import write_json

if TYPE_CHECKING:
    import onnx_ir as ir

    from snapq.evaluation.samples import Dataset, Label, Sample
    from snapq.quantization.mixed import Judge, Judged, Mixed, Trial
    from snapq.quantization.quantize import Quantized
    from snapq.quantization.sensitivity import Feeds, Run

    Labels = Label | Mapping[str, Label]

TRADEOFF = "tradeoff.json"
SENSITIVITY = "sensitivity.json"

_EVERY = 4
"""One sample of so many is held out."""
_RANKED_ON = 4
"""Samples on which single tensors are judged; it only gives the order of promotions."""
_NAMED = 8


@dataclass(frozen=True)
class Mixture:
    """What the stage goes on with.

    Attributes:
        quantized: the model.
        precision: its name, `w8a8+w8a16`.
        details: figures for the record.
    """

    quantized: Quantized
    precision: str
    details: dict[str, Any]


@dataclass(frozen=True)
class HeldOut:
    """Samples that judge, and what is right for them.

    Attributes:
        feeds: what the model takes.
        references: the float model's outputs.
        labels: of the samples; empty where they are judged by SQNR.
        own: whether the labels are the float model's answers.
    """

    feeds: tuple[Feeds, ...]
    references: tuple[Feeds, ...]
    labels: tuple[Labels, ...] = ()
    own: bool = False


class Rest:
    """The samples of a data set that are not held out."""

    def __init__(self, data: Dataset, held: int) -> None:
        self._data, self._held = data, held

    def __len__(self) -> int:
        return len(self._data) - self._held

    def __iter__(self) -> Iterator[Sample]:
        return (sample for i, sample in enumerate(self._data) if not _is_held(i, self._held))


def mix(
    work: Order, options: MixedPrecision, label: str, context: Context, folder: Path
) -> Mixture:
    """Finds and makes the fastest mix of precisions that keeps the budget.

    Writes the damage of each tensor and every candidate into `folder`.

    Raises:
        ConfigError: there is no metric to measure a drop with, or samples lack labels.
        DataError: a sample does not fit the model or is not finite.
    """
    from snapq.qnn.availability import status
    from snapq.quantization.mixed import promote
    from snapq.quantization.quantize import observe
    from snapq.quantization.sensitivity import Analysis, analyze_tensors

    data, progress = context.calibration, context.progress
    assert data is not None
    count = min(options.samples, len(data) // _EVERY)
    rest = Rest(data, count) if count else data
    held = _held_out(work, data, count or min(options.samples, len(data)), options, context)
    with progress.track("Calibrate", len(rest)) as advance:
        known = observe(work.model, work.feeds(rest), advance)
    samples = list(islice(work.feeds(rest), _RANKED_ON))
    references = list(run_on_cpu(work.model, samples))
    analysis = Analysis(work.model, known, work.scheme, work.fixed, samples, references, run_on_cpu)
    with progress.track("Quantize each tensor alone") as advance:
        damages = analyze_tensors(analysis, None, advance)
    usable = status().usable
    where = Where.SIMULATED if usable else Where.HOST
    device = timed_device(context) if usable else None
    clock = Stopwatch(device, context) if device is not None else None
    quick = _judge(options, held, run_on_cpu, context)
    final = _judge(options, held, runner(where, context.devices[0]), context)
    kinds = [ActivationType(kind) for kind in options.to]
    if not all("fp16" in one.precisions for one in context.devices):
        kinds = [kind for kind in kinds if kind is not ActivationType.FLOAT16]
    with progress.track("Try mixes of precisions") as advance:
        mixed = promote(analysis, damages, (quick, final), clock, kinds, advance)
    chosen = mixed.chosen
    with progress.track("Calibrate", len(rest)) as advance:
        result = replace(work, scheme=chosen.scheme).quantized(rest, advance)
    curve = _curve(mixed, options, label, work, held, where, context, clock)
    write_json(folder / TRADEOFF, [record.to_json() for record in curve])
    tensors = sensitivity_records(damages, Where.HOST, "", len(samples), {})
    write_json(folder / SENSITIVITY, [record.to_json() for record in tensors])
    found = next(record for record in curve if record.chosen)
    notes = _notes(found, curve, options, held, count)
    return Mixture(
        replace(result, notes=(*notes, *result.notes)),
        _precision(chosen, label, work),
        {
            "budget_met": found.met,
            "nodes": {"to": found.to, "names": list(found.nodes)},
            "value": found.value,
            "unit": found.unit,
            "where": where.value,
            "held_out": len(held.feeds),
            "candidates": len(curve),
            "estimated_us": found.us,
            "estimated_on": found.estimated_on,
        },
    )


def _is_held(index: int, count: int) -> bool:
    return index % _EVERY == _EVERY - 1 and index // _EVERY < count


def _held_out(
    work: Order, data: Dataset, count: int, options: MixedPrecision, context: Context
) -> HeldOut:
    every = len(data) >= _EVERY
    held = [s for i, s in enumerate(data) if (_is_held(i, count) if every else i < count)]
    feeds = tuple(work.feeds(held))
    references = tuple(run_on_cpu(work.model, feeds))
    if options.max_drop is None:
        return HeldOut(feeds, references)
    metrics = context.metrics()
    if not metrics:
        raise ConfigError(
            "A drop is measured with a metric, and there is none.",
            where="quantize.mixed_precision.max_drop",
            mend="Name a `metric:`, or give `min_sqnr_db` in its place.",
        )
    labels = [sample.label for sample in held]
    told = tuple(one for one in labels if one is not None)
    if len(told) == len(labels):
        return HeldOut(feeds, references, told)
    if [metric.name for metric in metrics] not in (["top1"], ["top5"]):
        raise ConfigError(
            f"The calibration samples have no labels, and {metrics[0].name} needs them.",
            where="quantize.mixed_precision.max_drop",
            mend="Give `labels` under data.calibration, or `min_sqnr_db` in place of `max_drop`.",
        )
    answers = tuple(int(next(iter(one.values())).argmax()) for one in references)
    return HeldOut(feeds, references, answers, own=True)


def _judge(options: MixedPrecision, held: HeldOut, run: Run, context: Context) -> Judge:
    from snapq.quantization.fidelity import sqnr
    from snapq.quantization.mixed import Judged
    from snapq.quantization.sensitivity import NoiseMeter

    if options.max_drop is None:
        wanted = options.min_sqnr_db

        def by_sqnr(model: ir.Model) -> Judged:
            meter = NoiseMeter()
            for reference, found in zip(held.references, run(model, held.feeds), strict=True):
                meter.update(reference, found)
            value = sqnr(1.0, meter.worst())
            return Judged(value, wanted is not None and value >= wanted)

        return by_sqnr
    most = options.max_drop
    truth = _scores(context, held.references, held.labels)

    def by_metric(model: ir.Model) -> Judged:
        values = _scores(context, run(model, held.feeds), held.labels)
        drop = max(before - now for before, now in zip(truth, values, strict=True))
        return Judged(values[0] if len(values) == 1 else -drop, drop <= most)

    return by_metric


def _scores(
    context: Context, outputs: Iterable[Feeds], labels: Sequence[Labels]
) -> tuple[float, ...]:
    """The value of each metric of the run."""
    metrics = context.metrics()
    for found, label in zip(outputs, labels, strict=True):
        arrays = {name: np.asarray(array) for name, array in found.items()}
        for metric in metrics:
            metric.update(arrays, label)
    return tuple(metric.value() for metric in metrics)


def _unit(options: MixedPrecision, context: Context) -> str:
    """What the value of a candidate is."""
    if options.max_drop is None:
        return "dB"
    metrics = context.metrics()
    return metrics[0].name if len(metrics) == 1 else "worst change of any metric"


def _curve(
    mixed: Mixed,
    options: MixedPrecision,
    label: str,
    work: Order,
    held: HeldOut,
    where: Where,
    context: Context,
    clock: Stopwatch | None,
) -> list[TradeoffRecord]:
    unit = _unit(options, context)
    return [
        TradeoffRecord(
            label=_label(trial, label, work),
            to=trial.to.value if trial.to is not None else None,
            nodes=() if trial.whole else trial.nodes,
            value=trial.judged.value,
            unit=unit,
            met=trial.judged.met,
            chosen=trial is mixed.chosen,
            where=where if trial.proved else Where.HOST,
            device=context.devices[0].name if trial.proved and where is Where.SIMULATED else None,
            samples=len(held.feeds),
            us=trial.cost.us if trial.cost is not None else None,
            estimated_on=clock.estimated_on if clock is not None else None,
        )
        for trial in mixed.trials
    ]


def _label(trial: Trial, label: str, work: Order) -> str:
    if trial.to is None:
        return label
    if trial.whole:
        return precision_name(work.scheme.weights, trial.to)
    count = len(trial.nodes)
    return f"{label}, {count} node{'s' if count != 1 else ''} in {trial.to.value}"


def _precision(trial: Trial, label: str, work: Order) -> str:
    if trial.to is None:
        return label
    higher = precision_name(work.scheme.weights, trial.to)
    return higher if trial.whole else f"{label}+{higher}"


def _notes(
    found: TradeoffRecord,
    curve: Sequence[TradeoffRecord],
    options: MixedPrecision,
    held: HeldOut,
    count: int,
) -> Iterator[str]:
    names = ", ".join(found.nodes[:_NAMED])
    more = f" and {len(found.nodes) - _NAMED} more" if len(found.nodes) > _NAMED else ""
    shown = f" ({names}{more})" if names else ""
    on = f" on {found.device}" if found.device else ""
    timed = f"; time estimated on {found.estimated_on}" if found.estimated_on else ""
    wholes = [record for record in curve if not record.nodes and record is not found]
    compared = "".join(f"; {record.label}: {_figures(record)}" for record in wholes)
    yield (
        f"Mixed precision: {found.label}{shown}. On {len(held.feeds)} "
        f"{'held-out ' if count else ''}calibration samples: {_figures(found)} "
        f"({found.where}{on}{timed}){compared}."
    )
    if not found.met:
        wanted = (
            f"{options.min_sqnr_db:g} dB"
            if options.max_drop is None
            else f"a drop in {found.unit} of {options.max_drop:g}"
        )
        yield f"No mix keeps the budget of {wanted}; this is the nearest."
    if held.own:
        yield "The calibration samples have no labels: the float model's answers stood for them."
    if not count:
        yield f"Under {_EVERY} calibration samples, so those that calibrate also judge."


def _figures(record: TradeoffRecord) -> str:
    value = f"{record.value:.1f} dB" if record.unit == "dB" else f"{record.value:.4f}"
    return value if record.us is None else f"{value} and {record.us:,.1f} µs"
