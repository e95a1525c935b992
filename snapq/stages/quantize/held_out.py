"""Held-out samples that evaluate mixes of precisions, and what is right for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from snapq.config import MixedPrecision
from snapq.errors import ConfigError
from snapq.evaluation.channel_groups import GroupedOutputs
from snapq.evaluation.samples import Dataset, Label, Sample
from snapq.evaluation.sqnr import SqnrMeter, real_outputs, sqnr
from snapq.metric_table import drop, facts
from snapq.quantization.analysis.sensitivity import Feeds, Run
from snapq.quantization.mixed_precision.trials import Evaluate, Evaluation
from snapq.stages.base import Context
from snapq.stages.quantize.job import QuantizationJob
from snapq.stages.quantize.scoring import run_on_cpu

if TYPE_CHECKING:
    Labels = Label | Mapping[str, Label]

EVERY = 4
"""One sample of so many is held out."""
_EXACT = 1e-9
"""0.8 - 0.7 is a little more than 0.1 to a computer."""


@dataclass(frozen=True)
class HeldOut:
    """Samples that evaluate, and what is right for them.

    Attributes:
        feeds: what the model takes.
        references: the float model's outputs.
        labels: of the samples; empty where SQNR evaluates.
        own: whether the labels are the float model's answers.
        apart: whether they are held out; those that calibrate are used where there are too few.
        samples: where the feeds come from; the tail of a model that is cut may read them.
    """

    feeds: tuple[Feeds, ...]
    references: tuple[Feeds, ...]
    labels: tuple[Labels, ...] = ()
    own: bool = False
    apart: bool = True
    samples: tuple[Sample, ...] = ()


class Rest:
    """The samples of a data set that are not held out."""

    def __init__(self, data: Dataset, held: int) -> None:
        self._data, self._held = data, held

    def __len__(self) -> int:
        return len(self._data) - self._held

    def __iter__(self) -> Iterator[Sample]:
        return (sample for i, sample in enumerate(self._data) if not _is_held(i, self._held))


def held_count(data: Dataset, options: MixedPrecision) -> int:
    """How many samples are held out; 0 where there are too few: those that calibrate are used."""
    return min(options.samples, len(data) // EVERY)


def _is_held(index: int, count: int) -> bool:
    return index % EVERY == EVERY - 1 and index // EVERY < count


def held_out(
    job: QuantizationJob, data: Dataset, options: MixedPrecision, context: Context
) -> HeldOut:
    """The samples that evaluate a quantization.

    Raises:
        ConfigError: there is no metric to measure a drop with, or samples lack labels.
    """
    count = held_count(data, options)
    first = min(options.samples, len(data))
    held = [s for i, s in enumerate(data) if (_is_held(i, count) if count else i < first)]
    feeds, apart = tuple(job.feeds(held)), count > 0
    references = tuple(run_on_cpu(job.model, feeds))
    if options.max_drop is None:
        return HeldOut(feeds, references, apart=apart)
    metrics = context.metrics()
    if not metrics:
        raise ConfigError(
            "A drop is measured with a metric, and there is none.",
            where="quantize: max_drop",
            hint="Name a `metric:`, or give `min_sqnr_db` in its place.",
        )
    labels = [sample.label for sample in held]
    told = tuple(one for one in labels if one is not None)
    if len(told) == len(labels):
        return HeldOut(feeds, references, told, apart=apart, samples=tuple(held))
    if [metric.name for metric in metrics] not in (["top1"], ["top5"]):
        raise ConfigError(
            f"The calibration samples have no labels, and {metrics[0].name} needs them.",
            where="quantize: max_drop",
            hint="Give `labels` under data.calibration, or `min_sqnr_db` in place of `max_drop`.",
        )
    whole = _behind_cut(context, references, held)
    answers = tuple(int(next(iter(one.values())).argmax()) for one in whole)
    return HeldOut(feeds, references, answers, own=True, apart=apart, samples=tuple(held))


def evaluator(
    options: MixedPrecision, held: HeldOut, run: Run, context: Context, title: str
) -> Evaluate:
    """Whether a model keeps the budget on held-out samples; `title` is that of the progress bar."""

    def outputs(model: ir.Model) -> Iterator[Feeds]:
        with context.progress.track(title, len(held.feeds)) as advance:
            for found in run(model, held.feeds):
                yield found
                advance(1)

    if options.max_drop is None:
        wanted = options.min_sqnr_db

        def by_sqnr(model: ir.Model) -> Evaluation:
            meter = SqnrMeter()
            with GroupedOutputs(meter) as grouped:
                for reference, found in zip(held.references, outputs(model), strict=True):
                    grouped.update(real_outputs(reference), found)
            value = sqnr(1.0, meter.worst())
            return Evaluation(value, wanted is not None and value >= wanted)

        return by_sqnr
    most = options.max_drop
    truth = float_scores(held, context)
    names = [metric.name for metric in context.metrics()]
    as_change = _told_as_change(names)

    def by_metric(model: ir.Model) -> Evaluation:
        values = _scores(context, outputs(model), held)
        lost = max(map(drop, names, truth, values))
        return Evaluation(-lost if as_change else values[0], lost <= most + _EXACT)

    return by_metric


def _behind_cut(
    context: Context, outputs: Iterable[Feeds], samples: Sequence[Sample]
) -> Iterator[Feeds]:
    """The model's own outputs: of one that is cut, what its tail makes of those of the part."""
    if context.tail is None:
        return iter(outputs)
    run = context.tail.open().run
    return (run(sample, found) for sample, found in zip(samples, outputs, strict=True))


def _scores(context: Context, outputs: Iterable[Feeds], held: HeldOut) -> tuple[float, ...]:
    """The value of each metric of the run."""
    metrics = context.metrics()
    whole = _behind_cut(context, outputs, held.samples)
    for found, label in zip(whole, held.labels, strict=True):
        arrays = {name: np.asarray(array) for name, array in found.items()}
        for metric in metrics:
            metric.update(arrays, label)
    return tuple(metric.value() for metric in metrics)


def float_scores(held: HeldOut, context: Context) -> tuple[float, ...]:
    """The value of each metric for the float model."""
    return _scores(context, held.references, held)


def unit(options: MixedPrecision, context: Context) -> str:
    """What the value of a candidate is."""
    if options.max_drop is None:
        return "dB"
    names = [metric.name for metric in context.metrics()]
    if len(names) > 1:
        return "worst change of any metric"
    return f"change of {names[0]}" if _told_as_change(names) else names[0]


def _told_as_change(names: Sequence[str]) -> bool:
    """Whether a candidate's value is a change from float, as higher has to be better."""
    found = facts(names[0])
    return len(names) > 1 or (found is not None and found.lower_is_better)
