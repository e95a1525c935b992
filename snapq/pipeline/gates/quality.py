"""Gates of accuracy: metrics, SQNR, equal answers, and the NPU against the CPU."""

from __future__ import annotations

from snapq.evaluation.fidelity import LEAST_DB
from snapq.metric_table import drop
from snapq.pipeline.gates.answers import worst_answers
from snapq.pipeline.gates.evaluated import NOTHING, Evaluated, Verdict
from snapq.records import AccuracyRecord, FidelityRecord, GateRecord


def accuracy_drop(most: float, evaluated: Evaluated) -> Verdict:
    """The metric that loses most of what float has."""
    limit = f"at most {most:g}"
    largest = _largest_drop(evaluated.figures.accuracy, evaluated.precisions)
    if largest is None:
        return limit, NOTHING, False
    record = largest[1]
    on = f" on {record.device}" if record.device else ""
    found = f"{largest[0]:.4f} ({record.where}{on}, {record.samples} samples)"
    return limit, found, largest[0] <= most + 1e-9


def sqnr(least: float, evaluated: Evaluated) -> Verdict:
    """The output with the lowest SQNR."""
    limit = f"at least {least:g} dB"
    records = _of_packages(evaluated)
    # Of class numbers and the like there is no SQNR to speak of where real outputs say how it is.
    real = [item for item in records if item.agreement is None]
    worst = min(real or records, key=lambda record: record.sqnr_db, default=None)
    if worst is None:
        return limit, NOTHING, False
    on = f" on {worst.device}" if worst.device else ""
    found = f"{worst.sqnr_db:.2f} dB at {worst.output}{worst.channels} ({worst.where}{on})"
    return limit, found, worst.sqnr_db >= least


def lost_by_itself(evaluated: Evaluated) -> tuple[GateRecord, ...]:
    """A gate that fails without being asked for: an output, or group of its channels, is lost.

    Random inputs say nothing of it, and classical models have a gate of their own.
    """
    lost = [
        item
        for item in _of_packages(evaluated)
        if item.collapsed is not None and not item.random_inputs
    ]
    if not lost or evaluated.figures.answers:
        return ()
    places = [
        f"{item.collapsed} at {item.output}{item.channels}"
        + (f" on {item.device}" if item.device else "")
        for item in lost
    ]
    found = f"{'; '.join(dict.fromkeys(places))} ({lost[0].where})"
    limit = f"at least {LEAST_DB:g} dB and several values everywhere, where no limit is given"
    return (GateRecord(name="min_sqnr_db", limit=limit, found=found, passed=False),)


def _of_packages(evaluated: Evaluated) -> list[FidelityRecord]:
    """What the packages give; behind the cut, one detection more or less leaves no SQNR."""
    return [
        item
        for item in evaluated.figures.fidelity
        if item.label in evaluated.precisions and not item.behind_cut
    ]


def equal_answers(least: float, evaluated: Evaluated) -> Verdict:
    """The output with the fewest rows that ONNX Runtime answers alike."""
    limit = f"at least {least:.2%}"
    worst = worst_answers(evaluated.figures.answers, evaluated.precision)
    if worst is None:
        return limit, NOTHING, False
    return limit, f"{worst.share:.2%} of '{worst.output}' ({worst.where})", worst.share >= least


def npu_matches_cpu(_: bool, evaluated: Evaluated) -> Verdict:
    """Every output on the simulated NPU against the CPU."""
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


def _largest_drop(
    accuracy: tuple[AccuracyRecord, ...], precisions: frozenset[str]
) -> tuple[float, AccuracyRecord] | None:
    """The drop from float of the metric that loses most, and its record."""
    floats = {record.metric: record.value for record in accuracy if record.label == "float"}
    drops = [
        (drop(record.metric, floats[record.metric], record.value), record)
        for record in accuracy
        if record.label in precisions and record.metric in floats
    ]
    return max(drops, key=lambda found: found[0], default=None)
