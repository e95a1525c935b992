"""What a result is a result of: the deployment and the stage that made the timed model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from snapq.benchmarking.targets.base import Measurement
from snapq.bundle import CPU, MANIFEST
from snapq.bundle.deployment import BundleDeployment, read_deployment
from snapq.errors import SnapqError
from snapq.records import RunRecord
from snapq.records.bench import BenchRecord, BenchSubject
from snapq.storage import fingerprint, sha256_file, storage_errors


@dataclass(frozen=True)
class Made:
    """What all models of one run have in common.

    Attributes:
        of: the deployment, and the last stage, which made the model that is not the baseline.
        baseline: label of the baseline; None where the run times none.
    """

    of: BundleDeployment
    baseline: str | None

    def told(self, records: Sequence[BenchRecord]) -> tuple[BenchRecord, ...]:
        """The results of this run's models with what they are results of."""
        return tuple(one.model_copy(update={"subject": self._subject(one)}) for one in records)

    def _subject(self, record: BenchRecord) -> BenchSubject:
        label = record.model.label
        return BenchSubject(
            **{
                **dict(self.of),
                "stage": "source" if label == self.baseline else self.of.stage,
                "precision": "float32" if label == CPU else label,
            }
        )


def made_by(record: RunRecord, baseline: str | None) -> Made:
    """What made the bundle of a finished run."""
    provenance = record.provenance
    of = BundleDeployment(
        deployment=record.name,
        given_sha256=provenance.model_sha256,
        stage=record.stages[-1].name if record.stages else "package",
        calibration_sha256=provenance.calibration_sha256,
        evaluation_sha256=provenance.evaluation_sha256,
    )
    return Made(of, baseline)


def with_subjects(measured: Measurement, bundle: Path, baseline: Path | None) -> Measurement:
    """A measurement of a bundle with what it is of, as far as the bundle or the run beside it tell.

    A baseline that is not the model that the run was given stays without a subject.
    """
    label = measured.records[0].model.label if baseline is not None else None
    of, record = read_deployment(bundle), run_beside(bundle)
    if of is not None:
        made = Made(of, label)
    elif record is not None:  # made by a version that did not tell the bundle
        made = made_by(record, label)
    else:
        return measured
    told = list(made.told(measured.records))
    if baseline is not None and _sha256(baseline) != made.of.given_sha256:
        told[0] = measured.records[0]
    return replace(measured, records=tuple(told))


def run_beside(bundle: Path) -> RunRecord | None:
    """The record of the run in whose directory a bundle stands as the run left it; else None."""
    file = bundle.absolute().parent / "run.json"
    if not file.is_file():
        return None
    try:
        with storage_errors(file):
            record = RunRecord.model_validate_json(file.read_bytes())
        listed = {one.path: one.sha256 for one in record.bundle_files}
        found = sha256_file(bundle / MANIFEST)
    except (ValidationError, SnapqError):
        return None
    return record if listed.get(f"{bundle.absolute().name}/{MANIFEST}") == found else None


def _sha256(model: Path) -> str:
    """As a run writes the hash of a model in one file."""
    return fingerprint([sha256_file(model)])


def another_model(before: BenchRecord, after: BenchRecord) -> Iterator[str]:
    """Why two results are not of one model, a sentence each; nothing where they are."""
    one, other = before.subject, after.subject
    pairs: list[tuple[str, str, str]] = []
    if one is not None and other is not None:
        pairs += [
            ("deployment", one.deployment, other.deployment),
            ("stage", one.stage, other.stage),
            ("precision", one.precision, other.precision),
        ]
    else:
        pairs.append(("precision", before.model.label, after.model.label))
        if before.model.sha256 != after.model.sha256:
            pairs.append(("file", before.model.name, after.model.name))
    for name, older, newer in pairs:
        if older != newer:
            yield f"{name}: {older} before, {newer} now."


def another_version(before: BenchRecord, after: BenchRecord) -> Iterator[str]:
    """What changed about the model of both results, for the reader; it is no fault."""
    one, other = before.subject, after.subject
    if one is None or other is None:
        if before.model.sha256 != after.model.sha256:
            side = "older" if one is None else "newer"
            yield f"The {side} result does not say which deployment it is of."
        return
    if one.given_sha256 != other.given_sha256:
        yield (
            f"The model as given is another version: {one.given_sha256[:8]} before, "
            f"{other.given_sha256[:8]} now."
        )
    if one.calibration_sha256 != other.calibration_sha256:
        yield "It was calibrated on other samples."
