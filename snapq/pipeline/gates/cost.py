"""Gates of what a package costs: placement, estimates, measured latency, instructions, size."""

from __future__ import annotations

from collections.abc import Sequence

from snapq.benchmarking.statistics import SLOWED
from snapq.devices.profiles import DeviceProfile
from snapq.pipeline.evidence.baselines import OWN_BOUNDARY
from snapq.pipeline.gates.evaluated import NOTHING, Evaluated, Verdict
from snapq.records import EstimateRecord, Origin, PlacementRecord, SpeedupRecord
from snapq.records.bench import BenchRecord

_MB = 1_000_000


def npu_nodes(least: float | str, evaluated: Evaluated) -> Verdict:
    """The device with the smallest share of nodes on the NPU."""
    share = 1.0 if isinstance(least, str) else least
    limit = "all" if isinstance(least, str) else f"at least {share:.0%}"
    records = [item for item in evaluated.figures.placements if item.label in evaluated.precisions]
    worst = min(records, key=_share, default=None)
    if worst is None:
        return limit, NOTHING, False
    found = f"{worst.npu} of {worst.npu + worst.cpu} on {worst.device}"
    return limit, found, _share(worst) >= share


def estimated_speedup(least: float, evaluated: Evaluated) -> Verdict:
    """The device with the smallest speed-up over fp16."""
    limit = f"at least {least:g}x"
    speedups = _gate_speedups(evaluated.figures.speedups, evaluated.devices)
    slowest = min(speedups, key=lambda record: record.value, default=None)
    if slowest is None:
        return limit, without_fp16(evaluated) or NOTHING, False
    found = f"{slowest.value:.2f}x over {slowest.baseline} on {slowest.device} (estimated)"
    return limit, found, slowest.value >= least


def without_fp16(evaluated: Evaluated) -> str | None:
    """Why devices that all lack fp16 have no speed-up over it; None where one has fp16."""
    if not evaluated.devices or any("fp16" in one.precisions for one in evaluated.devices):
        return None
    names = ", ".join(device.name for device in evaluated.devices)
    return f"nothing: {names} has no fp16 to be faster than; limit max_predicted_ms instead"


def estimate(most: float, evaluated: Evaluated) -> Verdict:
    """The device with the longest estimate; one that lacks costs of operators proves nothing."""
    limit = f"at most {most:g} us"
    found = [one for one in evaluated.figures.estimates if one.label in evaluated.precisions]
    own = {device.name for device in evaluated.devices if device.has_estimate}
    judged = [one for one in found if one.device in own] or found
    longest = max(judged, key=_us, default=None)
    if longest is None:
        return limit, NOTHING, False
    text = f"{_us(longest):.1f} us on {longest.device} (estimated)"
    if longest.estimated_on != longest.device:
        text += f", by the estimate of {longest.estimated_on}"
    low = next((one for one in judged if one.missing_ops), None)
    if low is not None:
        missing = f"{low.missing_ops} operators have no cost in the estimate of {low.device}"
        return limit, f"{text}; too low: {missing}", False
    return limit, text, _us(longest) <= most


def _us(one: EstimateRecord) -> float:
    return one.precise_us or one.us


def latency(most: float | tuple[str, float], evaluated: Evaluated) -> Verdict:
    """A percentile of the measured latency of the package; without evidence it has failed.

    What makes runs slower, such as a busy machine, is no reason against a limit that is kept.
    """
    percentile, limit_ms = most if isinstance(most, tuple) else ("p50", most)
    limit = f"at most {limit_ms:g} ms ({percentile})"
    record = _measured(evaluated, Origin.MEASURED)
    if record is None:
        return limit, NOTHING, False
    value: float = getattr(record.latency_ms, percentile)
    found = f"{value:.4g} ms on {record.target.name} (measured, {record.latency_ms.n} runs)"
    against = [reason for reason in record.valid.reasons if not reason.startswith(SLOWED)]
    if against:
        return limit, f"{found}; not a claim: {'; '.join(against)}", False
    return limit, found, value <= limit_ms


def instructions(most: int, evaluated: Evaluated) -> Verdict:
    """The instructions of an inference of the package, as an emulated board counts them."""
    limit = f"at most {most:,}"
    record = _measured(evaluated, Origin.EMULATED)
    if record is None or record.instructions is None:
        return limit, NOTHING, False
    found = f"{record.instructions:,} on {record.target.name} (emulated)"
    if record.valid.golden_met is False:
        return limit, f"{found}; the outputs differ from the golden data", False
    return limit, found, record.instructions <= most


def _measured(evaluated: Evaluated, where: Origin) -> BenchRecord | None:
    """The benchmark of the package; of a classical model on this machine, that of its CPU model."""
    found = [one for one in evaluated.figures.benches if one.where is where]
    named = [one for one in found if one.model.label in evaluated.precisions]
    others = [one for one in found if one.baseline is not None]
    return next(iter((*named, *others)), None)


def bundle_size(most: float, evaluated: Evaluated) -> Verdict:
    """All files of the bundle."""
    limit = f"at most {most:g} MB"
    if not evaluated.bundle:
        return limit, NOTHING, False
    size = sum(file.bytes for file in evaluated.bundle)
    return limit, f"{size / _MB:.3f} MB in {len(evaluated.bundle)} files", size <= most * _MB


def compiled_size(most: float, evaluated: Evaluated) -> Verdict:
    """The device with the largest compiled files."""
    limit = f"at most {most:g} MB"
    sizes = {one.device: sum(file.bytes for file in one.files) for one in evaluated.figures.bundle}
    if not sizes:
        return limit, NOTHING, False
    device = max(sizes, key=lambda name: sizes[name])
    return limit, f"{sizes[device] / _MB:.3f} MB on {device}", sizes[device] <= most * _MB


def _gate_speedups(
    speedups: Sequence[SpeedupRecord], devices: Sequence[DeviceProfile]
) -> tuple[SpeedupRecord, ...]:
    """The speed-ups by which `min_estimated_speedup` is evaluated.

    Those over the model at fp16, as given and prepared, on the devices that have an estimate of
    their own; on all devices where none has.
    """
    over = tuple(s for s in speedups if s.baseline in OWN_BOUNDARY and s.where is Origin.ESTIMATED)
    own = {device.name for device in devices if device.has_estimate}
    return tuple(s for s in over if s.device in own) or over


def _share(placement: PlacementRecord) -> float:
    total = placement.npu + placement.cpu
    return placement.npu / total if total else 0.0
