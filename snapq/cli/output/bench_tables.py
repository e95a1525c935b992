"""Results of benchmarks on standard output. Names are never read as markup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from snapq.benchmarking.history.compare import Comparison
from snapq.cli.output.tables import show_line, show_table
from snapq.records.bench import BenchRecord
from snapq.report import formatting as fmt
from snapq.report.benches import lines, load_text

NO_BREAK = "\N{NO-BREAK SPACE}"


def show(records: Sequence[BenchRecord]) -> None:
    """Prints what one benchmark found: first where it ran and why, then the figures."""
    for record in records:
        show_line(record.headline)
    show_table(
        f"Latency on {records[0].target.name}, {records[0].where}",
        ("model", "runs", "p50", "p90", "p99", "min", "mean", "std"),
        ((record.model.label, record.latency_ms.n, *_times(record)) for record in records),
    )
    for record in records:
        show_line(load_text(record))
        for line in lines(record):
            show_line(line)
        show_line(f"{record.model.label}: run {record.run_id}")


def _times(record: BenchRecord) -> Iterator[str]:
    found = record.latency_ms
    for value in (found.p50, found.p90, found.p99, found.min, found.mean, found.std):
        yield fmt.milliseconds(value).replace(" ", NO_BREAK)


def show_history(records: Sequence[BenchRecord]) -> None:
    """Prints a line a result."""
    show_table(
        "",
        ("run", "when", "what", "p50", "speed-up", "claim"),
        (
            (
                record.run_id[:8],
                record.started_at[5:16].replace("T", NO_BREAK),
                f"{record.model.label} on {record.target.name} ({record.placement.fallback}), "
                f"{record.where}",
                fmt.milliseconds(record.latency_ms.p50).replace(" ", NO_BREAK),
                f"{fmt.ratio(record.speedup.value)} over {record.baseline.label}"
                if record.speedup and record.baseline
                else "",
                "yes" if record.valid.ok else "no",
            )
            for record in records
        ),
    )


def show_comparison(comparison: Comparison) -> None:
    """Prints what the gate looked at."""
    before, after = comparison.before, comparison.after
    show_line(f"{before.run_id[:8]} ({before.started_at}) to {after.run_id[:8]}")
    show_table(
        "",
        ("", "check", "found"),
        (("ok" if c.passed else "BAD", c.name, c.found) for c in comparison.checks),
    )
