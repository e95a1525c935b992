"""Results of benchmarks on standard output. Names are never read as markup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from snapq.benchmarking.history.compare import Comparison
from snapq.cli.output.tables import show_line, show_table
from snapq.comparison.compare import RunComparison
from snapq.prediction.calibration import Calibration
from snapq.records.bench import BenchRecord
from snapq.report import benches

NO_BREAK = "\N{NO-BREAK SPACE}"


def show(records: Sequence[BenchRecord]) -> None:
    """Prints what one benchmark found: first where it ran and why, then the figures."""
    for record in records:
        show_line(record.headline)
    show_table(
        f"{benches.caption(records[0])} on {records[0].target.name}, {records[0].where}",
        ("model", "runs", "p50", "p90", "p99", "min", "mean", "std"),
        ((record.model.label, record.latency_ms.n, *_times(record)) for record in records),
    )
    for record in records:
        show_line(benches.load_text(record))
        for line in benches.lines(record):
            show_line(line)
        show_line(f"{record.model.label}: run {record.run_id}")


def _times(record: BenchRecord) -> Iterator[str]:
    found = record.latency_ms
    for value in (found.p50, found.p90, found.p99, found.min, found.mean, found.std):
        yield benches.cell(record, value).replace(" ", NO_BREAK)


def show_history(records: Sequence[BenchRecord]) -> None:
    """Prints a line a result."""
    if not records:
        show_line("Nothing that was measured fits: see snapq history --help.")
        return
    show_table(
        "",
        ("run", "when", "what", "on", "median", "ratio", "claim"),
        (
            (
                record.run_id[:8],
                record.started_at[5:16].replace("T", " "),
                _what(record),
                _where(record),
                _median(record),
                f"{benches.ratio(record)} {record.baseline.label}"
                if record.speedup and record.baseline
                else "",
                "yes" if record.valid.ok else "no",
            )
            for record in records
        ),
        whole=("run", "when", "claim"),
    )


def show_calibrations(found: Mapping[str, Calibration], problem: str | None) -> None:
    """Prints which predictions measurements calibrate."""
    for device, calibration in found.items():
        show_line(f"Predictions for boards with {device} are {calibration.sentence}.")
    if problem is not None:
        show_line(problem)


def _median(record: BenchRecord) -> str:
    """`1.5 ms measured, 1.42 ms predicted`."""
    text = f"{benches.figure(record, record.latency_ms.p50)} {record.where}"
    if record.predicted is None or record.predicted.us is None:
        return text
    return f"{text}, {benches.figure(record, record.predicted.us / 1000)} predicted"


def _what(record: BenchRecord) -> str:
    """`tiny w8a8`; the first digits of the given model's hash tell its versions apart."""
    subject = record.subject
    if subject is None:
        return record.model.label
    return f"{subject.deployment} {record.model.label} ({subject.given_sha256[:4]})"


def _where(record: BenchRecord) -> str:
    """`bench-1, qcs9075, npu context binary`."""
    chip = f", {record.target.soc}" if record.target.soc else ""
    processor = "" if record.target.name == "local" else f", {record.placement.fallback}"
    return f"{record.target.name}{chip}{processor}"


def show_comparison(comparison: Comparison | RunComparison) -> None:
    """Prints what was compared, and whether it keeps the limits."""
    if isinstance(comparison, RunComparison):
        _show_runs(comparison)
    else:
        before, after = comparison.before, comparison.after
        show_line(f"{before.run_id[:8]} ({before.started_at}) to {after.run_id[:8]}")
        show_table(
            "",
            ("", "check", "found"),
            (("ok" if c.passed else "BAD", c.name, c.found) for c in comparison.checks),
        )
    for remark in comparison.remarks:
        show_line(remark)


def _show_runs(comparison: RunComparison) -> None:
    show_line(f"{comparison.before.path} to {comparison.after.path}")
    show_table(
        "",
        ("", "figure", "before", "after", "change", "limit"),
        (
            (
                {True: "ok", False: "BAD", None: ""}[row.passed],
                row.what,
                row.before,
                row.after,
                row.change,
                f"{row.limit}: {row.remark}" if row.remark else row.limit,
            )
            for row in comparison.rows
        ),
    )
    if not comparison.judged:
        show_line("No limit was given, so nothing is judged: see snapq compare --help.")
