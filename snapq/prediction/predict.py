"""A board's latency from the estimate of a chip, by the fits that the package comes with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from snapq.devices.profiles import DeviceProfile, find
from snapq.errors import DeviceError, QnnError
from snapq.npu.memory import Memory
from snapq.npu.model import Model, Source, Variants
from snapq.prediction.calibration import Calibration
from snapq.prediction.complete import SENTENCE, completed
from snapq.prediction.features import NARROW_WEIGHTS, features, joined
from snapq.prediction.network import Features, Kind
from snapq.prediction.table import Fit, Table, packaged
from snapq.records import EstimateRecord, Origin, PredictionRecord, SpeedupRecord

__all__ = ["CLASSICAL", "Predictor", "no_prediction", "predicted_speedup", "why_none"]

CLASSICAL = "the public latencies are of networks, none of tree ensembles, SVMs or linear models."

_NEARLY = 1.5
"""Times the smallest or largest estimate of a fit that a network may be outside of them."""


@dataclass(frozen=True)
class Predictor:
    """Predicts latencies; estimates that it needs of other chips are made once and kept.

    Attributes:
        memory: of estimates.
        calibrations: by device, of the user's own measurements.
        table: the fits.
        compiles: whether a model may be compiled for the chip whose estimate a fit reads.
    """

    memory: Memory
    calibrations: Mapping[str, Calibration]
    table: Table
    compiles: bool = True

    @classmethod
    def published(
        cls, memory: Memory | None = None, calibrations: Mapping[str, Calibration] | None = None
    ) -> Predictor:
        """One with the fits that the package comes with. Raises `StorageError`."""
        return cls(memory or Memory(), calibrations or {}, packaged())

    def predict(
        self,
        source: Source,
        estimate: EstimateRecord,
        device: DeviceProfile,
        *,
        variants: Variants | None = None,
        known: Features | None = None,
    ) -> PredictionRecord:
        """The latency of a model on a board with this SoC.

        Args:
            source: the model, float or with Q/DQ.
            estimate: of the model on the device, or on the nearest that has one.
            device: the device.
            variants: how the model is compiled where the estimate of another chip is needed.
            known: the features of the model, where they are known.

        Raises:
            QnnError, StorageError: Qualcomm's compiler did not answer, or the disk is at fault.
        """
        label = estimate.label
        found = known or features(source.model)
        fits, reason = self._fits(device, found)
        if reason:
            return no_prediction(label, device, reason)
        results = []
        for fit in fits:
            read, told = self._estimate(fit, source, estimate, variants)
            if read is None:
                return no_prediction(label, device, told)
            results.append(_of_fit(fit, read, found, label, told))
        figure = _hull(results, found).model_copy(update={"batch": estimate.batch})
        calibration = self.calibrations.get(device.name)
        return figure if calibration is None else calibration.applied(figure)

    def _fits(self, device: DeviceProfile, found: Features) -> tuple[tuple[Fit, ...], str]:
        """A fit for each precision of the model, or why there is none."""
        reason = why_none(self.table, device, found)
        if reason:
            return (), reason
        fits = [self.table.of(device.name, one, found.kind) for one in found.precisions]
        return tuple(fit for fit in fits if fit is not None), ""

    def _estimate(
        self, fit: Fit, source: Source, estimate: EstimateRecord, variants: Variants | None
    ) -> tuple[EstimateRecord | None, str]:
        """The estimate that a fit reads and a remark on it, or None and why there is none."""
        read: EstimateRecord | None = estimate
        told = ""
        if estimate.estimated_on != fit.source:
            if not self.compiles:
                return None, f"the estimate of {fit.source} that it rests on is not known here."
            read, told = self._made(fit, source, estimate.label, variants)
        if read is None or not read.missing_ops:
            return read, told
        missing = read.missing_ops
        other = completed(source.model) if self.compiles else None
        if other is not None:
            read, told = self._made(fit, Source(other), estimate.label, variants)
            if read is None or not read.missing_ops:
                return read, told or SENTENCE
        many = "operators have" if missing > 1 else "operator has"
        return None, f"{missing} {many} no cost in the estimate of {fit.source}."

    def _made(
        self, fit: Fit, source: Source, label: str, variants: Variants | None
    ) -> tuple[EstimateRecord | None, str]:
        """An estimate of the chip that a fit reads, or None and why there is none."""
        try:
            model = Model(source, find(fit.source), variants=variants, memory=self.memory)
            return model.estimate(label), ""
        except (DeviceError, QnnError) as error:
            if error.transient:
                raise
            return None, f"it rests on the estimate of {fit.source}: {error}"


def why_none(table: Table, device: DeviceProfile, found: Features) -> str:
    """Why there can be no prediction for a model on a device; empty where there can be one."""
    if not table.of_device(device.name):
        return f"no latencies of {device.name} are public."
    if found.kind is Kind.RECURRENT:
        return "no latencies of networks with recurrent layers are public."
    if not found.precisions:
        return "the model has no layers to tell its precision by."
    for one in found.precisions:
        if one == NARROW_WEIGHTS:
            return "no latencies of networks with 4-bit weights are public."
        if table.of(device.name, one, found.kind) is None:
            name = "fp16" if one == "float" else one
            return f"too few latencies of {device.name} at {name} are public."
    return ""


def no_prediction(label: str, device: DeviceProfile, reason: str) -> PredictionRecord:
    """The record of a prediction that there is none of."""
    text = reason if reason.endswith(".") else f"{reason}."
    return PredictionRecord(label=label, device=device.name, reason=text)


def predicted_speedup(
    baseline: PredictionRecord, candidate: PredictionRecord
) -> SpeedupRecord | None:
    """How much faster one model is predicted to be than another on the same board.

    The interval is that of a ratio with independent errors; those of two forms of one network are
    not, so that it is rather too wide.
    """
    if baseline.us is None or candidate.us is None or baseline.runtime != candidate.runtime:
        return None
    share = candidate.batch / baseline.batch
    value = share * baseline.us / candidate.us
    told = (f"a sample each, {candidate.batch} in a call of the package",) if share != 1 else ()
    (slower, faster), (quicker, longer) = baseline.spread, candidate.spread
    down, up = math.hypot(slower, longer), math.hypot(faster, quicker)
    return SpeedupRecord(
        baseline=baseline.label,
        candidate=candidate.label,
        value=value,
        where=Origin.PREDICTED,
        device=candidate.device,
        interval=(value * math.exp(-down), value * math.exp(up)),
        remarks=told,
    )


def _of_fit(
    fit: Fit, estimate: EstimateRecord, found: Features, label: str, told: str
) -> PredictionRecord:
    us = fit.us(estimate, found)
    low, high = _interval(fit, estimate, us)
    return PredictionRecord(
        label=label,
        device=fit.device,
        us=us,
        us_lower=us * low,
        us_upper=us * high,
        runtime=fit.runtime,
        estimated_on=fit.source,
        estimate_us=estimate.precise_us or estimate.us,
        networks=fit.networks,
        median_error=fit.median_error,
        largest_error=fit.largest_error,
        coverage=fit.coverage,
        published_us=us,
        published_spread=math.log(high / low) / 2,
        remarks=(*_remarks(fit, estimate), *([told] if told else [])),
    )


def _remarks(fit: Fit, estimate: EstimateRecord) -> Iterator[str]:
    if fit.note:
        yield fit.note
    if fit.runtime != "onnx":
        yield (
            f"Of {fit.device}, latencies through ONNX Runtime are not public; this is that of the "
            "fastest of Qualcomm's runtimes."
        )
    if _beyond(fit, estimate):
        assert fit.estimate_us is not None
        least, most = fit.estimate_us
        yield (
            f"The networks that it rests on are estimated at {least:,.0f} to {most:,.0f} us, and "
            f"this one at {estimate.precise_us or estimate.us:,.0f}: the interval is widened."
        )


def _interval(fit: Fit, estimate: EstimateRecord, us: float) -> tuple[float, float]:
    """Ratios of the interval, wider where a network is unlike all that the fit rests on.

    Above the largest one the relative error is taken to grow; below the smallest one the error in
    microseconds is taken to stay as it is there, as what is left is the time of the call.
    """
    beyond = _beyond(fit, estimate)
    if not beyond or fit.estimate_us is None:
        return fit.low, fit.high
    missing = fit.estimate_us[0] - (estimate.precise_us or estimate.us)
    if missing > 0:
        larger = (us + fit.factor * missing) / us
        return 1 / (1 + larger * (1 / fit.low - 1)), 1 + larger * (fit.high - 1)
    return float(fit.low ** (1 + beyond)), float(fit.high ** (1 + beyond))


def _beyond(fit: Fit, estimate: EstimateRecord) -> float:
    """How far an estimate lies outside those of the fit, as a logarithm; 0 inside and nearly so."""
    if fit.estimate_us is None:
        return 0.0
    least, most = fit.estimate_us
    us = max(estimate.precise_us or estimate.us, 1.0)
    beyond = max(least / us, us / most)
    return math.log(beyond) if beyond > _NEARLY else 0.0


def _hull(results: Sequence[PredictionRecord], found: Features) -> PredictionRecord:
    """One prediction; of a model with several precisions, the interval that holds each one's."""
    first, *others = results
    if not others:
        return first
    values = [one.us for one in results if one.us is not None]
    us = math.exp(sum(map(math.log, values)) / len(values))
    low = min(one.us_lower for one in results if one.us_lower is not None)
    high = max(one.us_upper for one in results if one.us_upper is not None)
    names = joined("fp16" if one == "float" else one for one in found.precisions)
    return first.model_copy(
        update={
            "us": us,
            "published_us": us,
            "published_spread": math.log(high / low) / 2,
            "us_lower": low,
            "us_upper": high,
            "networks": min(one.networks for one in results),
            "median_error": max(one.median_error for one in results),
            "largest_error": max(one.largest_error for one in results),
            "coverage": min(one.coverage for one in results),
            "remarks": (
                *dict.fromkeys(text for one in results for text in one.remarks),
                f"The layers are of {names}: the interval holds those of both.",
            ),
        }
    )


def without_compiling(predictor: Predictor) -> Predictor:
    """The same, which gives no prediction where another chip's estimate would have to be made."""
    return replace(predictor, compiles=False)
