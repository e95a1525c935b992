"""What a run or a bundle has that can be compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from snapq.benchmarking.history.subject import run_beside
from snapq.bundle import MANIFEST
from snapq.bundle.deployment import read_deployment
from snapq.bundle.read import Bundle
from snapq.errors import StorageError
from snapq.records import EstimateRecord, Origin, RunRecord
from snapq.records.bench import BenchRecord
from snapq.report.load import load_record
from snapq.storage import storage_errors


class Kind(Enum):
    """A kind of figure; its value is the limit that judges it."""

    ACCURACY = "max_accuracy_drop"
    ANSWERS = "max_accuracy_drop of answers"
    SQNR = "max_sqnr_drop"
    SIZE = "max_size_growth"
    ESTIMATE = "max_estimate_growth"
    PREDICTION = "max_prediction_growth"
    PLACEMENT = "max_added_cpu_nodes"
    LATENCY = "max_slowdown"
    INSTRUCTIONS = "max_instructions_growth"

    @property
    def limit(self) -> str:
        """Name of the limit."""
        return self.value.partition(" ")[0]

    @property
    def rests_on_data(self) -> bool:
        """Whether other evaluation samples give another figure."""
        return self in (Kind.ACCURACY, Kind.ANSWERS, Kind.SQNR)


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        kind: what it is.
        name: of the metric, the output, or what has the size.
        place: the device or target; empty where it is of none.
        label: the model, where it is another one than the package: `float`, `float32`.
        value: the figure; of a placement, the nodes on the CPU.
        where: the word for how it came to be.
        of: nodes in all, of a placement.
        source: the device whose estimate this is.
        bench: the whole result, of what was measured.
    """

    kind: Kind
    name: str
    place: str
    value: float
    where: str = ""
    of: int | None = None
    source: str | None = None
    bench: BenchRecord | None = None
    label: str = ""

    @property
    def key(self) -> tuple[Kind, str, str, str]:
        """What it is compared by."""
        return self.kind, self.name, self.place, self.label


@dataclass(frozen=True)
class Contents:
    """A run, or a bundle that stands alone.

    Attributes:
        path: its folder.
        deployment: `name` of its deploy.yaml; None of a bundle that does not tell.
        precision: of the package, `w8a8`.
        given_sha256: of the model as given; None of a bundle that does not tell.
        evaluation_sha256: of the evaluation samples; None of a bundle that does not tell.
        versions: of what made it.
        random_inputs: whether its figures rest on random inputs.
        failed_gates: gates of the run that did not pass.
        figures: all of them.
        alone: whether it is a bundle without its run.
    """

    path: Path
    deployment: str | None
    precision: str
    given_sha256: str | None
    evaluation_sha256: str | None
    versions: dict[str, str]
    random_inputs: bool
    failed_gates: tuple[str, ...]
    figures: tuple[Figure, ...]
    alone: bool = False

    @property
    def title(self) -> str:
        """How it is named to the reader: the last two parts of its path."""
        return "/".join(self.path.absolute().parts[-2:])


def is_contents(path: Path) -> bool:
    """Whether a folder is a run or a bundle."""
    return (path / "run.json").is_file() or (path / MANIFEST).is_file()


def read_contents(path: Path) -> Contents:
    """Reads a run directory or a bundle; of a bundle in its run's directory, the run.

    Raises:
        StorageError: it is neither, or damaged.
    """
    if (path / "run.json").is_file():
        return _of_run(load_record(path), path)
    if (path / MANIFEST).is_file():
        record = run_beside(path)
        if record is not None:
            return _of_run(record, path.absolute().parent)
        return _of_bundle(Bundle.open(path))
    raise StorageError(
        "The folder is no run directory and no bundle.",
        where=str(path),
        hint="Name one that has a run.json or a manifest.json.",
    )


def _of_run(record: RunRecord, folder: Path) -> Contents:
    packages = packages_of(record)
    provenance = record.provenance
    qairt = {"QAIRT": provenance.qairt} if provenance.qairt else {}
    return Contents(
        path=folder,
        deployment=record.name,
        precision=", ".join(packages) or "float",
        given_sha256=provenance.model_sha256,
        evaluation_sha256=provenance.evaluation_sha256,
        versions={"snapq": provenance.snapq, **qairt, **provenance.versions},
        random_inputs=any(one.random_inputs for one in record.accuracy)
        or any(one.random_inputs for one in record.fidelity),
        failed_gates=tuple(gate.name for gate in record.gates if not gate.passed),
        figures=(
            *_quality(record, packages),
            *_costs(record, packages),
            *_language(record),
            *_measured(_benches(record, folder), packages),
        ),
    )


def packages_of(record: RunRecord) -> tuple[str, ...]:
    """Precisions of what a run made: one, or several where kinds of devices have their own."""
    labels = (
        *(one.label for one in record.placements),
        *(one.label for one in record.fidelity),
        *(one.label for one in record.accuracy),
        *(one.label for one in record.perplexities),
    )
    return tuple(dict.fromkeys(label for label in labels if label != "float"))


def _quality(record: RunRecord, packages: Sequence[str]) -> Iterator[Figure]:
    for one in record.accuracy:
        label = "" if one.label in packages else one.label
        where = f"{one.where}, {one.samples} samples"
        yield Figure(Kind.ACCURACY, one.metric, one.device or "", one.value, where, label=label)
    for answer in record.answers:
        if answer.label in packages:
            where = f"{answer.where}, {answer.rows} rows"
            place = answer.device or ""
            yield Figure(Kind.ANSWERS, answer.output, place, answer.share, where)
    for item in record.fidelity:
        if item.label in packages and not item.behind_cut:
            name, where = f"{item.output}{item.channels}", f"{item.where}, {item.samples} samples"
            yield Figure(Kind.SQNR, name, item.device or "", item.sqnr_db, where)


def _costs(record: RunRecord, packages: Sequence[str]) -> Iterator[Figure]:
    if record.bundle_files:
        size = sum(file.bytes for file in record.bundle_files)
        yield Figure(Kind.SIZE, "bundle", "", size)
    elif record.stages:
        yield Figure(Kind.SIZE, "model", "", record.stages[-1].model.bytes)
    for entry in record.bundle:
        size = sum(file.bytes for file in entry.files)
        yield Figure(Kind.SIZE, "compiled", entry.device, size)
    for estimate in record.estimates:
        if estimate.label in packages:
            yield _estimate(estimate)
    for found in record.predictions:
        if found.label in packages and found.us is not None:
            rests_on = str(found.estimated_on)
            if found.calibrated_on:
                rests_on += f", calibrated on {found.calibrated_on} measurements"
            where = Origin.PREDICTED
            us = found.us / found.batch
            yield Figure(Kind.PREDICTION, "", found.device, us, where, source=rests_on)
    for place in record.placements:
        if place.label in packages:
            total = place.npu + place.cpu
            yield Figure(Kind.PLACEMENT, "", place.device, place.cpu, of=total)


def _language(record: RunRecord) -> Iterator[Figure]:
    """Of a language model: how often the next token is float's, times of its graphs, binaries."""
    for item in record.perplexities:
        where = f"{item.where}, {item.tokens} tokens"
        yield Figure(Kind.ANSWERS, "next token", item.device, item.agreement, where)
        yield Figure(Kind.SQNR, "logits", item.device, item.sqnr_db, where)
    for estimate in record.estimates if record.language_models else ():
        yield replace(_estimate(estimate), name=estimate.label)
    for binary in record.pair_binaries:
        yield Figure(Kind.SIZE, "compiled", binary.device, binary.separate_bytes)
        if binary.shared_bytes is not None:
            yield Figure(Kind.SIZE, "shared", binary.device, binary.shared_bytes)


def _estimate(one: EstimateRecord) -> Figure:
    return Figure(
        Kind.ESTIMATE, "", one.device, one.sample_us, Origin.ESTIMATED, source=one.estimated_on
    )


def _measured(benches: Sequence[BenchRecord], packages: Sequence[str]) -> Iterator[Figure]:
    for bench in benches:
        label = bench.model.label
        label = "" if label in packages else label
        counted = bench.instructions
        kind = Kind.LATENCY if counted is None else Kind.INSTRUCTIONS
        value = bench.latency_ms.p50 if counted is None else counted
        place = bench.target.name
        yield Figure(kind, "", place, value, bench.where, bench=bench, label=label)


def _benches(record: RunRecord, folder: Path) -> tuple[BenchRecord, ...]:
    """The measurements of a run with every single latency, as far as they are still there."""
    file = folder / "measurements" / "benches.json"
    if not file.is_file():
        return record.benches
    with storage_errors(file):
        try:
            return tuple(map(BenchRecord.model_validate, json.loads(file.read_bytes())))
        except (ValueError, TypeError) as error:
            raise StorageError("The measurements are damaged.", where=str(file)) from error


def _of_bundle(bundle: Bundle) -> Contents:
    manifest = bundle.manifest
    sizes = {file.path: file.bytes for file in manifest.files}
    figures = [Figure(Kind.SIZE, "bundle", "", sum(path.stat().st_size for path in bundle.files))]
    for entry in manifest.devices:
        names = {entry.model, *entry.files}
        figures.append(
            Figure(Kind.SIZE, "compiled", entry.device, sum(sizes[name] for name in names))
        )
        if entry.estimate is not None:
            figures.append(_estimate(EstimateRecord.model_validate(entry.estimate)))
    builds = sorted({entry.qairt for entry in manifest.devices})
    qairt = {"QAIRT": ", ".join(builds)} if builds else {}
    told = read_deployment(bundle.path)
    return Contents(
        path=bundle.path,
        deployment=None if told is None else told.deployment,
        precision=manifest.precision,
        given_sha256=None if told is None else told.given_sha256,
        evaluation_sha256=None if told is None else told.evaluation_sha256,
        versions={"snapq": manifest.provenance.snapq, **qairt, **manifest.provenance.versions},
        random_inputs=manifest.random_inputs,
        failed_gates=(),
        figures=tuple(figures),
        alone=True,
    )
