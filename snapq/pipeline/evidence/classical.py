"""Of a classical model: what it is made of, and whether the NPU is worth it at this many rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from snapq.bundle import CPU
from snapq.classical.advice import CALL_US, Advice, fastest_cpu, fastest_us
from snapq.classical.column_names import column_names
from snapq.classical.model import ClassicalModel
from snapq.classical.more_rows import rows_for_the_npu
from snapq.classical.on_npu import npu_estimators
from snapq.classical.summary import importances, summaries
from snapq.cpu import CpuModel
from snapq.evaluation.samples import Sample
from snapq.graph import io
from snapq.npu.model import Memory
from snapq.pipeline.evidence.base import Evidence, Found, Subject
from snapq.records import AdviceRecord, EstimatorRecord, Figures, ImportanceRecord
from snapq.stages.base import Input, Reads

_COLUMNS = 30
"""The most columns that are listed of an estimator."""


def gather(subject: Subject) -> Found:
    """Lists the estimators and the columns that trees ask for; sets the CPU beside the NPU."""
    assert subject.whole is not None
    model = ClassicalModel.read(io.load(subject.whole.model))
    advice = tuple(_advice(subject, model))
    sample = next(iter(subject.examples or ()), None)
    figures = Figures(
        estimators=tuple(_estimators(model)),
        importances=tuple(_importances(model, sample)),
        advice=advice,
    )
    return Found(figures, tuple(f"{one.device}: {one.sentence}" for one in advice))


def _estimators(model: ClassicalModel) -> Iterator[EstimatorRecord]:
    on_npu, _ = npu_estimators(model)
    names = {one.form.name for one in on_npu}
    for one in summaries(model):
        yield EstimatorRecord(
            name=one.name,
            what=one.describe(),
            features=one.features,
            targets=one.targets,
            runs_on="npu" if one.name in names else "cpu",
        )


def _importances(model: ClassicalModel, sample: Sample | None) -> Iterator[ImportanceRecord]:
    names = {} if sample is None else column_names(model, sample.beside, sample.columns)
    for name, shares in importances(model).items():
        for column in sorted(shares, key=lambda key: -shares[key])[:_COLUMNS]:
            yield ImportanceRecord(
                estimator=name,
                column=column,
                name=names.get(name, {}).get(column, ""),
                share=shares[column],
            )


def _advice(subject: Subject, model: ClassicalModel) -> Iterator[AdviceRecord]:
    """The CPU's time for the first batch beside that of the NPU's way, device by device."""
    packages = subject.packaged.estimates if subject.packaged is not None else ()
    sample = next(iter(subject.examples), None)
    if not packages or sample is None or subject.host is None or subject.whole is None:
        return
    memory = Memory(subject.memo)
    whole, host = CpuModel(subject.whole.model), subject.host.host
    ways = {"": lambda: whole.run(sample.beside)}
    if (path := subject.host.folder / CPU).is_file():
        rewritten = CpuModel(path)
        ways[CPU] = lambda: rewritten.run(sample.beside)
    cpu_us, cpu_model = fastest_cpu(ways)
    outputs = CpuModel(subject.source.model, optimize=False).run(sample.feeds)
    head_us = fastest_us(lambda: host.encode(sample.beside))
    tail_us = fastest_us(lambda: host.decode(sample.beside, outputs))
    rows = len(next(iter(sample.beside.values())))
    for package in packages:
        found = Advice(rows, cpu_us, package.precise_us, head_us + tail_us, cpu_model)
        device = next(one for one in subject.devices if one.name == package.device)
        more = rows_for_the_npu(model, npu_estimators(model)[0], device, found, memory)
        found = replace(found, wins_from=more)
        yield AdviceRecord(
            device=package.device,
            rows=rows,
            cpu_us=cpu_us,
            npu_us=package.precise_us,
            call_us=CALL_US,
            host_us=found.host_us,
            npu=found.npu,
            sentence=found.sentence,
        )


EVIDENCE = Evidence(
    "classical",
    Reads((Input.WHOLE, Input.HOST, Input.GIVEN), (Input.PACKAGE, Input.EXAMPLES, Input.DEVICES)),
    gather,
    kept=False,  # times of this machine
)
