"""Gates: the limits of a run, what was found, and whether they passed.

A gate is a function of `GATES`, named as its key in the YAML.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from snapq.config import Gates
from snapq.devices.profiles import DeviceProfile
from snapq.metric_table import drop
from snapq.pipeline.evidence.estimates import OWN_BOUNDARY
from snapq.records import AccuracyRecord, Figures, GateRecord, PlacementRecord, SpeedupRecord

NOTHING = "nothing: the run has no such figure"


@dataclass(frozen=True)
class Evaluated:
    """What gates look at.

    Attributes:
        figures: of the run.
        devices: the targets.
        precision: label of the package, such as `w8a8`.
    """

    figures: Figures
    devices: Sequence[DeviceProfile]
    precision: str


Verdict = tuple[str, str, bool]
"""The limit in words, what was found, and whether it passed."""


def check(gates: Gates, evaluated: Evaluated) -> tuple[GateRecord, ...]:
    """Checks every gate that the YAML names. A gate without a figure to judge by has failed.

    `npu_matches_cpu` need not be named to fail.
    """
    records = []
    for name, gate in GATES.items():
        wanted = getattr(gates, name)
        if name == "npu_matches_cpu":
            failed = any(record.failed for record in evaluated.figures.agreement)
            wanted = wanted or (True if wanted is None and failed else None)
        if wanted is not None:
            limit, found, passed = gate(wanted, evaluated)
            records.append(GateRecord(name=name, limit=limit, found=found, passed=passed))
    return tuple(records)


def _accuracy_drop(most: float, evaluated: Evaluated) -> Verdict:
    limit = f"at most {most:g}"
    largest = _largest_drop(evaluated.figures.accuracy, evaluated.precision)
    if largest is None:
        return limit, NOTHING, False
    record = largest[1]
    on = f" on {record.device}" if record.device else ""
    found = f"{largest[0]:.4f} ({record.where}{on}, {record.samples} samples)"
    return limit, found, largest[0] <= most + 1e-9


def _sqnr(least: float, evaluated: Evaluated) -> Verdict:
    limit = f"at least {least:g} dB"
    # Behind the cut, one detection more or less leaves no SQNR to speak of.
    records = [
        item
        for item in evaluated.figures.fidelity
        if item.label == evaluated.precision and not item.behind_cut
    ]
    worst = min(records, key=lambda record: record.sqnr_db, default=None)
    if worst is None:
        return limit, NOTHING, False
    on = f" on {worst.device}" if worst.device else ""
    found = f"{worst.sqnr_db:.2f} dB at {worst.output}{worst.channels} ({worst.where}{on})"
    return limit, found, worst.sqnr_db >= least


def _equal_answers(least: float, evaluated: Evaluated) -> Verdict:
    limit = f"at least {least:.2%}"
    records = [one for one in evaluated.figures.answers if one.label == evaluated.precision]
    records = [one for one in records if one.labels] or records
    worst = min(records, key=lambda record: record.share, default=None)
    if worst is None:
        return limit, NOTHING, False
    return limit, f"{worst.share:.2%} of '{worst.output}' ({worst.where})", worst.share >= least


def _npu_nodes(least: float | str, evaluated: Evaluated) -> Verdict:
    share = 1.0 if isinstance(least, str) else least
    limit = "all" if isinstance(least, str) else f"at least {share:.0%}"
    records = [item for item in evaluated.figures.placements if item.label == evaluated.precision]
    worst = min(records, key=_share, default=None)
    if worst is None:
        return limit, NOTHING, False
    found = f"{worst.npu} of {worst.npu + worst.cpu} on {worst.device}"
    return limit, found, _share(worst) >= share


def _npu_matches_cpu(_: bool, evaluated: Evaluated) -> Verdict:
    limit = "the NPU computes what the CPU does"
    records = evaluated.figures.agreement
    if not records:
        return limit, NOTHING, False
    failed = [record for record in records if record.failed]
    if not failed:
        return limit, f"yes, {len(records)} outputs and groups of channels (simulated)", True
    worst = min(failed, key=lambda record: record.agreement_db)
    place = f"{worst.output}{worst.channels} on {worst.device}"
    where = f", first at node {worst.node}" if worst.node else ""
    if worst.npu_sqnr_db is None or worst.cpu_sqnr_db is None:
        return limit, f"{worst.agreement_db:.1f} dB from the CPU at {place}{where}", False
    found = f"{worst.npu_sqnr_db:.1f} dB simulated, {worst.cpu_sqnr_db:.1f} dB on the CPU"
    return limit, f"{found} at {place}{where}", False


def _estimated_speedup(least: float, evaluated: Evaluated) -> Verdict:
    limit = f"at least {least:g}x"
    speedups = _gate_speedups(evaluated.figures.speedups, evaluated.devices)
    slowest = min(speedups, key=lambda record: record.value, default=None)
    if slowest is None:
        return limit, NOTHING, False
    found = f"{slowest.value:.2f}x over {slowest.baseline} on {slowest.device} (estimated)"
    return limit, found, slowest.value >= least


GATES: dict[str, Callable[[Any, Evaluated], Verdict]] = {
    "max_accuracy_drop": _accuracy_drop,
    "min_sqnr_db": _sqnr,
    "min_equal_answers": _equal_answers,
    "npu_nodes": _npu_nodes,
    "npu_matches_cpu": _npu_matches_cpu,
    "min_estimated_speedup": _estimated_speedup,
}


def _gate_speedups(
    speedups: Sequence[SpeedupRecord], devices: Sequence[DeviceProfile]
) -> tuple[SpeedupRecord, ...]:
    """The speed-ups by which `min_estimated_speedup` is evaluated.

    Those over the model at fp16, as given and prepared, on the devices that have an estimate of
    their own; on all devices where none has.
    """
    over = tuple(s for s in speedups if s.baseline in OWN_BOUNDARY)
    own = {device.name for device in devices if device.has_estimate}
    return tuple(s for s in over if s.device in own) or over


def _largest_drop(
    accuracy: tuple[AccuracyRecord, ...], precision: str
) -> tuple[float, AccuracyRecord] | None:
    """The drop from float of the metric that loses most, and its record."""
    floats = {record.metric: record.value for record in accuracy if record.label == "float"}
    drops = [
        (drop(record.metric, floats[record.metric], record.value), record)
        for record in accuracy
        if record.label == precision and record.metric in floats
    ]
    return max(drops, key=lambda found: found[0], default=None)


def _share(placement: PlacementRecord) -> float:
    total = placement.npu + placement.cpu
    return placement.npu / total if total else 0.0
