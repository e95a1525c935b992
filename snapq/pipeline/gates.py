"""Gates: the limits of a run, what was found, and whether they held."""

from __future__ import annotations

from collections.abc import Iterator

from snapq.config import Gates
from snapq.records import (
    AccuracyRecord,
    FidelityRecord,
    GateRecord,
    PlacementRecord,
    SpeedupRecord,
)

NOTHING = "nothing: the run has no such figure"


def check(
    gates: Gates,
    *,
    accuracy: tuple[AccuracyRecord, ...],
    fidelity: tuple[FidelityRecord, ...],
    placements: tuple[PlacementRecord, ...],
    speedups: tuple[SpeedupRecord, ...],
    precision: str,
) -> tuple[GateRecord, ...]:
    """Checks every gate that the YAML names. A gate without a figure to judge by has failed.

    Args:
        gates: the limits.
        accuracy: metrics of the float model and of the package.
        fidelity: output SQNR of the package, an entry an output.
        placements: where the nodes of each compiled package run.
        speedups: estimated speed-ups of the package over the unmodified model at fp16.
        precision: label of the package, such as `w8a8`.
    """
    return tuple(
        _gates(
            gates,
            accuracy,
            [record for record in fidelity if record.label == precision],
            [record for record in placements if record.label == precision],
            speedups,
            precision,
        )
    )


def _gates(
    gates: Gates,
    accuracy: tuple[AccuracyRecord, ...],
    fidelity: list[FidelityRecord],
    placements: list[PlacementRecord],
    speedups: tuple[SpeedupRecord, ...],
    precision: str,
) -> Iterator[GateRecord]:
    if gates.max_accuracy_drop is not None:
        limit = f"at most {gates.max_accuracy_drop:g}"
        drop = _largest_drop(accuracy, precision)
        if drop is not None:
            found = f"{drop[0]:.4f} ({drop[1].where}, {drop[1].samples} samples)"
            passed = drop[0] <= gates.max_accuracy_drop + 1e-9
            yield _gate("max_accuracy_drop", limit, found, passed)
        else:
            yield _gate("max_accuracy_drop", limit, NOTHING, False)
    if gates.min_sqnr_db is not None:
        limit = f"at least {gates.min_sqnr_db:g} dB"
        if fidelity:
            worst = min(fidelity, key=lambda record: record.sqnr_db)
            found = f"{worst.sqnr_db:.2f} dB at {worst.output} ({worst.where})"
            yield _gate("min_sqnr_db", limit, found, worst.sqnr_db >= gates.min_sqnr_db)
        else:
            yield _gate("min_sqnr_db", limit, NOTHING, False)
    if gates.npu_nodes is not None:
        share = 1.0 if gates.npu_nodes == "all" else gates.npu_nodes
        limit = "all" if gates.npu_nodes == "all" else f"at least {share:.0%}"
        if placements:
            worst_place = min(placements, key=_share)
            total = worst_place.npu + worst_place.cpu
            found = f"{worst_place.npu} of {total} on {worst_place.device}"
            yield _gate("npu_nodes", limit, found, _share(worst_place) >= share)
        else:
            yield _gate("npu_nodes", limit, NOTHING, False)
    if gates.min_estimated_speedup is not None:
        limit = f"at least {gates.min_estimated_speedup:g}x"
        if speedups:
            slowest = min(speedups, key=lambda record: record.value)
            found = f"{slowest.value:.2f}x over {slowest.baseline} on {slowest.device} (estimated)"
            passed = slowest.value >= gates.min_estimated_speedup
            yield _gate("min_estimated_speedup", limit, found, passed)
        else:
            yield _gate("min_estimated_speedup", limit, NOTHING, False)


def _largest_drop(
    accuracy: tuple[AccuracyRecord, ...], precision: str
) -> tuple[float, AccuracyRecord] | None:
    """The drop from float of the metric that loses most, and its record."""
    floats = {record.metric: record.value for record in accuracy if record.label == "float"}
    drops = [
        (floats[record.metric] - record.value, record)
        for record in accuracy
        if record.label == precision and record.metric in floats
    ]
    return max(drops, key=lambda drop: drop[0], default=None)


def _share(placement: PlacementRecord) -> float:
    total = placement.npu + placement.cpu
    return placement.npu / total if total else 0.0


def _gate(name: str, limit: str, found: str, passed: bool) -> GateRecord:
    return GateRecord(name=name, limit=limit, found=found, passed=passed)
