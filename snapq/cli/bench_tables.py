"""Results of benchmarks on standard output. Names are never read as markup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from snapq.bench_record import BenchGolden, BenchRecord
from snapq.cli.tables import show_line, show_table
from snapq.report import formatting as fmt


def show(records: Sequence[BenchRecord]) -> None:
    """Prints what one benchmark found: first where it ran and why, then the figures."""
    for record in records:
        show_line(record.headline)
    show_table(
        f"Latency on {records[0].target.name}, {records[0].where}",
        ("model", "runs", "p50", "p90", "p99", "min", "mean", "std", "load cold", "load warm"),
        (
            (
                record.model.label,
                record.latency_ms.n,
                *(
                    fmt.milliseconds(value)
                    for value in (
                        record.latency_ms.p50,
                        record.latency_ms.p90,
                        record.latency_ms.p99,
                        record.latency_ms.min,
                        record.latency_ms.mean,
                        record.latency_ms.std,
                        record.load_ms.create_cold,
                    )
                ),
                "not measured"
                if record.load_ms.create_warm is None
                else fmt.milliseconds(record.load_ms.create_warm),
            )
            for record in records
        ),
    )
    for record in records:
        for line in lines(record):
            show_line(line)


def lines(record: BenchRecord) -> Iterator[str]:
    """Speed-up, golden check, memory, and what weakens the figures."""
    label = record.model.label
    if record.instructions is not None:
        count = fmt.number(record.instructions / 1e6)
        yield f"{label}: {count} million instructions an inference; the times above are the same."
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
