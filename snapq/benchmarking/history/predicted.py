"""What was predicted of what a benchmark measured, beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import onnx_ir as ir

from snapq.benchmarking.history.subject import run_beside
from snapq.benchmarking.targets.base import Measurement
from snapq.bundle.read import Bundle
from snapq.devices.profiles import find
from snapq.errors import ConfigError, SnapqError
from snapq.graph import io
from snapq.npu.memory import Memory
from snapq.npu.model import Source
from snapq.prediction.predict import CLASSICAL, Predictor, no_prediction, without_compiling
from snapq.records import EstimateRecord, Origin, PredictionRecord
from snapq.records.bench import BenchRecord

__all__ = ["beside", "of_bundle", "with_predictions"]


def with_predictions(measured: Measurement, path: Path) -> Measurement:
    """A measurement of a bundle on boards, with what is predicted of its package there.

    The run that made the bundle says it, where the bundle stands in its directory; else it is
    computed of the estimate in the manifest, without compiling anything. Where the bundle cannot be
    read as one, the measurement stands, and the reason in place of a prediction.
    """
    socs = {one.target.soc for one in measured.records if _may_be_predicted(one)}
    if not socs - {None}:
        return measured
    try:
        bundle, run = Bundle.open(path), run_beside(path)
        known = run.predictions if run is not None else ()
        own = {one.device for one in known}
        others = [_of_bundle(bundle, soc) for soc in socs if soc is not None and soc not in own]
        found = [*known, *(one for one in others if one is not None)]
    except SnapqError as error:
        found = [_none(one, str(error)) for one in measured.records if _may_be_predicted(one)]
    return replace(measured, records=beside(measured.records, found))


def _none(record: BenchRecord, reason: str) -> PredictionRecord:
    device = record.target.soc or ""
    return PredictionRecord(label=record.model.label, device=device, reason=reason)


def of_bundle(records: Sequence[BenchRecord], path: Path) -> tuple[BenchRecord, ...]:
    """Results that other machines measured of a bundle, with what is predicted of it.

    Raises:
        ConfigError: a result is not of this bundle.
        StorageError: the bundle is damaged.
    """
    hashes = {file.sha256 for part in _parts(Bundle.open(path)) for file in part.manifest.files}
    other = next((one for one in records if one.model.sha256 not in hashes), None)
    if other is not None:
        raise ConfigError(
            f"{other.model.name} of {other.headline.rstrip('.')} is no file of this bundle.",
            where=str(path),
            hint="Name the bundle whose verify.py measured it, or leave --bundle out.",
        )
    measured = Measurement((), (), {}, (), tuple(records))
    return with_predictions(measured, path).records


def _parts(bundle: Bundle) -> Iterator[Bundle]:
    yield bundle
    for package in bundle.manifest.packages:
        yield bundle.package_for(package.devices[0])


def beside(
    records: Sequence[BenchRecord], predictions: Iterable[PredictionRecord]
) -> tuple[BenchRecord, ...]:
    """The results with the predictions of the same models on the same SoC."""
    found = tuple(predictions)
    return tuple(
        one.model_copy(update={"predicted": _of(one, found)}) if _may_be_predicted(one) else one
        for one in records
    )


def _may_be_predicted(record: BenchRecord) -> bool:
    return record.where is Origin.MEASURED and record.runtime.backend == "htp"


def _of(record: BenchRecord, found: Iterable[PredictionRecord]) -> PredictionRecord | None:
    label = record.model.label
    names = (label, f"{label} unmodified")  # a baseline at fp16 is the model as given
    there = (one for one in found if one.device == record.target.soc and one.label in names)
    return next(there, None)


def _compiled(node: ir.Node) -> bool:
    return node.op_type == "EPContext"


def _of_bundle(bundle: Bundle, soc: str) -> PredictionRecord | None:
    """What the estimate in a manifest says of a board; None where it has none of this SoC."""
    device, part = find(soc), bundle.package_for(soc)
    entry = next((one for one in part.manifest.devices if one.device == device.name), None)
    if entry is None or entry.estimate is None:
        return None
    estimate = EstimateRecord.model_validate(entry.estimate)
    if part.manifest.host is not None:
        return no_prediction(estimate.label, device, CLASSICAL)
    left = [node for node in io.load(part.compiled(device.name)).graph if not _compiled(node)]
    if left:
        text = f"{len(left)} nodes run on the CPU, whose time no estimate holds."
        return no_prediction(estimate.label, device, text)
    predictor = without_compiling(Predictor.published(Memory()))
    return predictor.predict(Source(io.load(part.model)), estimate, device)
