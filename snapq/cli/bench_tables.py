"""Results of benchmarks on standard output. Names are never read as markup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from snapq.bench_record import BenchGolden, BenchRecord
from snapq.cli.tables import show_line, show_table
from snapq.history.compare import Comparison
from snapq.report import formatting as fmt

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
                f"{record.model.label} on {record.target.name} ({record.placement.rung}), "
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


def lines(record: BenchRecord) -> Iterator[str]:
    """Speed-up, golden check, memory, and what weakens the figures."""
    label, load = record.model.label, record.load_ms
    warm = "" if load.create_warm is None else f", {fmt.milliseconds(load.create_warm)} warm"
    yield (
        f"{label}: session created in {fmt.milliseconds(load.create_cold)} cold{warm}, first "
        f"inference {fmt.milliseconds(load.first_inference)}, at most "
        f"{fmt.size(record.memory.peak)} resident"
    )
    if record.instructions is not None:
        count = fmt.instructions(record.instructions)
        yield f"{label}: {count} an inference; the times are these, a nanosecond each."
    if record.speedup is not None and record.baseline is not None:
        word = str(record.where) if record.valid.ok else f"{record.where}, not a claim"
        text = f"{label}: {fmt.ratio(record.speedup.value)} over {record.baseline.label} ({word})"
        if record.speedup.ci95 is not None:
            low, high = record.speedup.ci95
            text += f", 95 % interval {fmt.number(low)} to {fmt.number(high)}"
        if not record.baseline.conditions_match:
            text += f"; {record.baseline.label} ran on another processor"
        yield text
    for golden in record.golden:
        yield f"{label}: {golden_text(golden)}"
    if record.valid.reasons:
        yield f"{label}: not a claim, {'; '.join(record.valid.reasons)}."
    yield from record.remarks


def golden_text(golden: BenchGolden) -> str:
    """How far an output is from its golden data."""
    samples = fmt.plural(golden.samples, "golden sample")
    if golden.exact:
        return f"{golden.output} is bit-exact with the simulator, {samples}."
    return (
        f"{golden.output} differs from the simulator by up to {fmt.number(golden.largest)} "
        f"{golden.unit} of {fmt.number(golden.span)}, {samples}."
    )
