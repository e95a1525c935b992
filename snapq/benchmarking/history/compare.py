"""Compares two results, and says whether the newer one is slower than it may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from snapq.benchmarking.history.subject import another_model, another_version
from snapq.benchmarking.statistics import no_claim, ratio_interval
from snapq.errors import ConfigError
from snapq.records import Origin
from snapq.records.bench import BenchRecord


@dataclass(frozen=True)
class Check:
    """One thing that the gate looked at."""

    name: str
    found: str
    passed: bool


@dataclass(frozen=True, repr=False)
class Comparison:
    """Two results side by side.

    Attributes:
        before: the older result, the baseline.
        after: the newer one.
        ratio: median after over median before; above 1 is slower.
        interval: its 95 % bootstrap interval; None with too few rounds.
        differences: conditions that are not the same, as sentences.
        remarks: what else is to be known, such as another version of the model.
        checks: what the gate looked at.
    """

    before: BenchRecord
    after: BenchRecord
    ratio: float
    interval: tuple[float, float] | None
    differences: tuple[str, ...]
    remarks: tuple[str, ...]
    checks: tuple[Check, ...]

    def __repr__(self) -> str:
        between = f"{self.before.run_id[:8]} to {self.after.run_id[:8]}"
        verdict = "within its limits" if self.passed else "worse than its limits allow"
        return f"<Comparison {between}: {self.ratio:.3g} times the median, {verdict}>"

    @property
    def passed(self) -> bool:
        """Whether every check holds."""
        return all(check.passed for check in self.checks)


def compare(
    before: BenchRecord, after: BenchRecord, max_slowdown: float, *, other_model: bool = False
) -> Comparison:
    """Compares two results.

    Args:
        before: the older result.
        after: the newer one.
        max_slowdown: how many times the old median the new one may be, such as 1.05.
        other_model: compare also results of two models, and say so.

    Raises:
        ConfigError: a result has runs that took no time, so that it is no measure; or they are
            results of two models.
    """
    unlike = tuple(another_model(before, after))
    if unlike and not other_model:
        raise ConfigError(
            f"Another model: {' '.join(unlike)}",
            where=after.run_id,
            hint="Compare results of one model, or allow it: --other-model (other_model=True).",
        )
    for name, record in (("older", before), ("newer", after)):
        if not _is_measure(record):
            raise ConfigError(
                f"The {name} result has runs that took no time; it is no measure of anything.",
                where=record.run_id,
                hint="Measure again: snapq benchmark BUNDLE --target TARGET.",
            )
    ratio = after.latency_ms.p50 / before.latency_ms.p50
    interval = None
    if before.samples and after.samples:
        interval = ratio_interval(np.array(before.samples), np.array(after.samples))
    differences = tuple(_differences(before, after))
    return Comparison(
        before,
        after,
        ratio,
        interval,
        differences,
        (*(f"Another model: {text}" for text in unlike), *another_version(before, after)),
        tuple(_checks(before, after, ratio, interval, differences, max_slowdown)),
    )


def _is_measure(record: BenchRecord) -> bool:
    return record.latency_ms.p50 > 0 and all(ms > 0 for turn in record.samples for ms in turn)


def _checks(
    before: BenchRecord,
    after: BenchRecord,
    ratio: float,
    interval: tuple[float, float] | None,
    differences: tuple[str, ...],
    max_slowdown: float,
) -> Iterator[Check]:
    yield Check("conditions", " ".join(differences) or "the same", not differences)
    counted = after.where is Origin.EMULATED
    old, name = ("count", "instructions") if counted else ("median", "slowdown")
    text = f"{ratio:.3f} times the old {old} ({after.where}), limit {max_slowdown:g}"
    if interval is not None:
        text += f", 95 % interval {interval[0]:.3f} to {interval[1]:.3f}"
    # A slow-down that chance explains is none.
    real = interval is None or interval[0] > 1
    yield Check(name, text, ratio <= max_slowdown or not real)
    if not counted:
        weak = tuple(_no_claim(before, after))
        yield Check("claim", "; ".join(weak) or "both measurements support one", not weak)
    known_golden = {golden.output: golden for golden in before.golden}
    for golden in after.golden:
        known = known_golden.get(golden.output)
        if known is not None:
            yield Check(
                f"golden {golden.output}",
                f"{golden.largest:g} {golden.unit} from the golden data, {known.largest:g} before",
                golden.largest <= known.largest,
            )
    for output in sorted(known_golden.keys() - {golden.output for golden in after.golden}):
        yield Check(f"golden {output}", "no longer compared with the golden data", passed=False)
    yield from _answer_checks(before, after)


def _answer_checks(before: BenchRecord, after: BenchRecord) -> Iterator[Check]:
    """Answers of a classical model to its golden rows."""
    for one in after.answers:
        found = f"{one.rows - one.equal - one.ties} of {one.rows} rows are others"
        if not one.labels:
            found = f"off by up to {one.largest:g}"
        yield Check(f"answers {one.output}", f"{found} than ONNX Runtime's", one.met is not False)
    names = {one.output for one in after.answers}
    for name in sorted({one.output for one in before.answers} - names):
        yield Check(f"answers {name}", "no longer compared with ONNX Runtime's", passed=False)


def _no_claim(before: BenchRecord, after: BenchRecord) -> Iterator[str]:
    """Why the times of one of both are too weak to compare."""
    for name, record in (("older", before), ("newer", after)):
        if record.samples:
            yield from (f"the {name} result: {text}" for text in no_claim(np.array(record.samples)))


def _differences(before: BenchRecord, after: BenchRecord) -> Iterator[str]:
    """Conditions under which a comparison says nothing about the model."""
    pairs = (
        ("target", before.target.name, after.target.name),
        ("processor", before.target.cpu, after.target.cpu),
        ("SoC", before.target.soc, after.target.soc),
        ("fallback", before.placement.fallback, after.placement.fallback),
        ("rows at once", before.rows, after.rows),
        ("samples of a call", before.batch, after.batch),
        ("threads", before.protocol.threads, after.protocol.threads),
        ("performance mode", before.protocol.performance_mode, after.protocol.performance_mode),
        ("kind of figure", before.where, after.where),
    )
    for name, one, other in pairs:
        if one != other:
            yield f"{name}: {one} before, {other} now."
