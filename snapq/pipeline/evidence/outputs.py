"""Accuracy and fidelity: the package on the simulator against the model as given."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snapq.bundle.read import Bundle
from snapq.cpu import CpuModel
from snapq.errors import StorageError
from snapq.evaluation.channel_groups import GroupedOutputs
from snapq.evaluation.datasets import Dataset, Sample
from snapq.evaluation.metrics import Fidelity
from snapq.evaluation.rows import class_numbers, rows_of
from snapq.evaluation.stateful import in_sequence
from snapq.graph import io
from snapq.graph.behind import unsteady_outputs
from snapq.graph.boundary import calls, parted
from snapq.npu.arithmetic import distinct
from snapq.npu.model import Model
from snapq.npu.runtime import status
from snapq.pipeline.evidence.answers import RowAnswers
from snapq.pipeline.evidence.base import Evidence, Found, Subject, as_given
from snapq.pipeline.evidence.lost import what_is_lost
from snapq.quantization.agreement.compare import compare
from snapq.quantization.agreement.locate import Bench, on_cpu
from snapq.quantization.agreement.mend import mend
from snapq.quantization.agreement.noise import with_noise
from snapq.quantization.agreement.verdict import records, verdict
from snapq.records import AccuracyRecord, FidelityRecord, Figures, Origin
from snapq.stages.base import Input, Reads

if TYPE_CHECKING:
    from snapq.devices.profiles import DeviceProfile
    from snapq.evaluation.metrics import Metric

    Outputs = Mapping[str, np.ndarray]

_COMPARED = 4
"""Samples on which the simulator is compared with the CPU."""


def gather(subject: Subject) -> Found:
    """Runs every evaluation sample through the model as given and through what the run made.

    The model as given runs in float on this machine's CPU. What the run made is the compiled
    package of each device on Qualcomm's simulator, one device of those that compute the same to the
    bit; without a package stage it is the Q/DQ model, on the simulator too, or on the CPU where
    there is no simulator. Of a model that is cut,
    outputs are compared at the cut and behind its tail, and metrics are those behind the tail.
    """
    data = subject.evaluation
    if data is None or (subject.quantized is None and subject.packaged is None):
        return Found()
    missing = _no_simulator(subject)
    notes = (f"Not simulated, but computed on this machine's CPU: {missing}",) if missing else ()
    first = _First() if missing is None and subject.packaged is None and not data.state else None
    found = Found(notes=notes).and_also(
        _compare(subject, data, first, subject.device if missing is None else None)
    )
    if first is not None:
        found = found.and_also(_against_cpu(subject, first))
    return found if missing is not None else found.and_also(_further(subject, data))


def _further(subject: Subject, data: Dataset) -> Found:
    """The same on devices that compute otherwise than the first one, and who computes the same.

    The answers of a classical model are compared on each architecture by evidence of their own.
    """
    kinds = distinct(subject.devices, subject.label)
    found = Found()
    for device, *_ in () if subject.host is not None else kinds[1:]:
        own = _compare(subject, data, None, device)
        accuracy = tuple(one for one in own.figures.accuracy if one.label != "float")
        figures = own.figures.model_copy(update={"accuracy": accuracy})
        found = found.and_also(replace(own, figures=figures))
    notes = tuple(
        f"{', '.join(one.name for one in others)} at {subject.label}: not simulated apart, as the "
        f"arithmetic is that of {first.name}."
        for first, *others in kinds
        if others
    )
    return replace(found, notes=(*found.notes, *notes))


@dataclass
class _First:
    """The first samples with what the simulator and the float model gave."""

    samples: list[Sample] = field(default_factory=list)
    npu: list[Outputs] = field(default_factory=list)
    reference: list[Outputs] = field(default_factory=list)

    def take(self, sample: Sample, found: Outputs, reference: Outputs) -> None:
        """Keeps a sample, where there are not enough yet."""
        if len(self.samples) < _COMPARED:
            self.samples.append(sample)
            self.npu.append(found)
            self.reference.append(reference)


def _against_cpu(subject: Subject, first: _First) -> Found:
    """Compares the simulated Q/DQ model with the CPU; a package was compared when it was made."""
    assert subject.quantized is not None
    model = io.load(subject.quantized.model)
    feeds = tuple(subject.plan.model_feeds(sample) for sample in first.samples)
    noisy = partial(with_noise, model, feeds)
    chosen = unsteady_outputs(model.graph)
    findings = compare(on_cpu(model, feeds), first.npu, first.reference, noisy=noisy, chosen=chosen)
    located = None
    if any(one.finding.faulty for one in findings):
        bench = Bench(subject.device, feeds)
        say = subject.progress.say
        located = mend(model, bench, first.reference, search_only=True, say=say).left
    told = verdict(subject.device.name, findings, located)
    figures = Figures(agreement=records(subject.label, subject.device.name, findings, told))
    return Found(figures, told.notes)


def _candidate(subject: Subject, device: DeviceProfile | None) -> Path:
    """The model that is simulated."""
    if subject.bundle is not None and subject.packaged is not None:
        return subject.packaged.compiled_model(subject.bundle, (device or subject.device).name)
    assert subject.quantized is not None
    return subject.quantized.model


def _no_simulator(subject: Subject) -> str | None:
    """Why the Q/DQ model cannot be simulated here; None where it can."""
    found = status()
    if subject.packaged is not None or found.usable:
        return None
    return " ".join(part for part in (found.reason, found.hint) if part)


def _compare(
    subject: Subject, data: Dataset, first: _First | None, npu: DeviceProfile | None
) -> Found:
    """Compares all samples on an NPU, or on the CPU where none is given."""
    judges = {label: subject.metrics() for label in ("float", subject.label)}
    fidelity = Fidelity()
    behind = Fidelity(any_shape=True)
    tail, lacking = None if subject.tail is None else subject.tail.open(), None
    rows = None if subject.host is None else RowAnswers(subject)
    classes = class_numbers(data, rows.classes) if rows and judges["float"] else {}
    title = f"Simulate {npu.name}" if npu is not None else "Run on the CPU"
    with subject.progress.track(title, len(data)) as advance, GroupedOutputs(fidelity) as grouped:
        results = _results(subject, data, npu)
        references = map(as_given(subject).run, (sample.feeds for sample in data))
        for sample, reference, result in zip(data, references, results, strict=True):
            if first is not None:
                first.take(sample, result, reference)
            grouped.update(reference, result)
            whole = {"float": reference, subject.label: result}
            if tail is not None and not subject.metrics():  # a metric cannot do without it
                lacking = lacking or tail.lacks(sample, reference)
            if tail is not None and lacking is None:
                whole = {label: tail.run(sample, outputs) for label, outputs in whole.items()}
                computed = {name: whole["float"][name] for name in tail.computed}
                behind.update(computed, whole[subject.label])
            if rows is not None:
                whole = rows.outputs(sample, result)
            for label, outputs in whole.items():
                _judge(judges[label], sample, outputs, classes)
            advance(1)
    found_where = Origin.SIMULATED if npu is not None else Origin.HOST
    device = npu.name if npu is not None else None
    accuracy = [
        AccuracyRecord(
            label=label,
            metric=found.name,
            value=found.value(),
            samples=found.samples,
            dataset=data.description,
            where=Origin.HOST if label == "float" else found_where,
            device=None if label == "float" else device,
            random_inputs=data.random,
        )
        for label, found in ((label, judge) for label in judges for judge in judges[label])
        if found.samples
    ]
    meters = [(fidelity, False)] + ([(behind, True)] if behind.samples else [])
    given = partial(io.load, subject.source.model)
    changed = any(step.changes for step in subject.steps)
    lost, said = what_is_lost(
        fidelity.results(), grouped.places, given, (subject.label, device), changed=changed
    )
    records = [
        FidelityRecord(
            label=subject.label,
            output=grouped.places.get(output.name, (output.name,))[0],
            channels="" if is_behind else grouped.places[output.name][1],
            sqnr_db=output.sqnr_db,
            sqnr_db_min=output.sqnr_db_min,
            cosine=output.cosine,
            agreement=output.agreement,
            collapsed=None if is_behind else lost.get(output.name),
            samples=output.samples,
            dataset=data.description,
            where=found_where,
            device=device,
            random_inputs=data.random,
            behind_cut=is_behind,
        )
        for meter, is_behind in meters
        for output in meter.results()
    ]
    notes = tuple(_why_none_behind(behind.undefined, lacking))
    notes += said
    answers = () if rows is None else tuple(rows.records(data, found_where, device))
    figures = Figures(accuracy=tuple(accuracy), fidelity=tuple(records), answers=answers)
    return Found(figures, notes)


def _judge(
    judges: Sequence[Metric], sample: Sample, outputs: Outputs, classes: Mapping[Any, int]
) -> None:
    """Hands a sample to the metrics, row by row where it is a batch of rows."""
    if judges and sample.label is not None:
        for own, label, name in rows_of(sample, outputs, classes):
            for judge in judges:
                judge.update(own, label, name)


def _why_none_behind(undefined: Collection[str], lacking: str | None) -> Iterator[str]:
    """Why there is no SQNR behind the cut."""
    if lacking is not None:
        yield f"Not computed behind the cut: the samples lack '{lacking}', which the tail takes."
    if undefined:
        yield (
            "No SQNR behind the cut, as the shape depends on the data and differs from the float "
            f"model's: {', '.join(sorted(undefined))}."
        )


def _results(subject: Subject, data: Dataset, npu: DeviceProfile | None) -> Iterator[Outputs]:
    """Float outputs of what the run made; the state of a stateful model goes round."""
    plan, packaged = subject.package_boundary, subject.bundle is not None

    def feeds(sample: Sample) -> Outputs:
        return plan.package_feeds(sample) if packaged else plan.model_feeds(sample)

    def result(found: Outputs) -> Outputs:
        return plan.package_outputs(found) if packaged else found

    if not data.state:
        batch = plan.batch if packaged else 1
        ready = calls(map(feeds, data), batch)
        if npu is not None:
            found = _simulated(subject, npu, iter(ready))
        else:
            found = map(CpuModel(_candidate(subject, npu)).run, ready)
        samples = (sample for call in found for sample in parted(call, batch))
        yield from map(result, islice(samples, len(data)))
        return
    with _runner(subject, npu) as run_one:
        yield from in_sequence(data, data.state, lambda sample: result(run_one(feeds(sample))))


def _simulated(subject: Subject, npu: DeviceProfile, ready: Iterator[Outputs]) -> Iterator[Outputs]:
    """What the simulator gives for each call; a package was run with its golden ones already."""
    known = _golden(subject, npu)
    first = list(islice(ready, len(known)))
    count = 0
    for feeds, (golden, _) in zip(first, known, strict=False):
        if not _same(feeds, golden):
            break
        count += 1
    yield from (found for _, found in known[:count])
    further = itertools.chain(first[count:], ready)
    yield from Model(_candidate(subject, npu), npu).simulate(further)


def _golden(subject: Subject, npu: DeviceProfile) -> list[tuple[Outputs, Outputs]]:
    """Golden feeds of the package, each with what the simulator of a device gave for it."""
    if subject.bundle is None:
        return []
    try:
        bundle = Bundle.open(subject.bundle)
        return list(zip(bundle.golden_feeds(), bundle.golden_outputs(npu.name), strict=False))
    except StorageError:  # all of it is simulated
        return []


def _same(one: Outputs, other: Outputs) -> bool:
    return one.keys() == other.keys() and all(
        values.dtype == other[name].dtype and np.array_equal(values, other[name])
        for name, values in one.items()
    )


@contextmanager
def _runner(subject: Subject, npu: DeviceProfile | None) -> Iterator[Callable[[Outputs], Outputs]]:
    """A function that runs one sample, for models whose next input depends on it."""
    if npu is not None:
        with Model(_candidate(subject, npu), npu).simulator() as run:
            yield run
        return
    yield CpuModel(_candidate(subject, npu)).run


EVIDENCE = Evidence(
    "outputs",
    Reads(
        (Input.GIVEN, Input.EVALUATION, Input.METRICS, Input.DEVICES, Input.BOUNDARY),
        (Input.QUANTIZED, Input.PACKAGE, Input.TAIL, Input.HOST, Input.WHOLE, Input.STEPS),
    ),
    gather,
)


def _on_cpu(subject: Subject) -> Found:
    """The same of the Q/DQ model on this machine's CPU, whether it is packaged or not."""
    data = subject.evaluation
    return Found() if data is None else _compare(subject, data, None, None)


ON_CPU = Evidence(
    "outputs on the CPU",
    Reads(
        (Input.GIVEN, Input.EVALUATION, Input.METRICS, Input.QUANTIZED, Input.BOUNDARY),
        (Input.PACKAGE, Input.TAIL, Input.HOST, Input.STEPS),
    ),
    _on_cpu,
)
"""Near to what is simulated, in a fraction of the time: it says what is worth simulating."""
