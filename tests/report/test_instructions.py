"""What an emulated board counts is never shown as a time, wherever it is shown."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from snapq.benchmarking.targets.local_records import Timed, local_records
from snapq.cli.output import bench_tables
from snapq.config import BenchmarkConfig
from snapq.records import Origin, RunRecord
from snapq.records.bench import BenchRecord
from snapq.report.html import render_html
from snapq.report.terminal import summary
from tests.report.report_records import realistic

TIME = re.compile(r"\d (?:ms|µs|s)\b")


def counted() -> tuple[BenchRecord, ...]:
    """A float model of 64 million instructions and a package of 16 million."""
    timed = [
        Timed(label, Path(__file__), np.full((20, 10), ms), 120.0, ms, 1_000_000)
        for label, ms in (("float32", 64.0), ("w8a8", 16.0))
    ]
    return tuple(
        record.model_copy(
            update={
                "where": Origin.EMULATED,
                "instructions": round(record.latency_ms.p50 * 1e6),
                "target": record.target.model_copy(update={"name": "qemu"}),
            }
        )
        for record in local_records(timed, BenchmarkConfig(), ())
    )


@pytest.fixture
def emulated() -> RunRecord:
    """A run whose models were counted and nothing was timed or estimated."""
    run = realistic()
    return realistic(
        latencies=tuple(
            one.model_copy(update={"where": Origin.EMULATED, "target": "qemu"})
            for one in run.latencies
        ),
        speedups=tuple(
            one.model_copy(update={"where": Origin.EMULATED, "device": "qemu"})
            for one in run.speedups
            if one.where is Origin.MEASURED
        ),
        estimates=(),
        steps=(),
        tradeoff=(),
        benches=counted(),
    )


def section(page: str, heading: str) -> str:
    start = page.index(heading)
    return page[start : page.index("</section>", start)]


def test_the_report_shows_instructions_and_a_share_of_them(emulated: RunRecord) -> None:
    page = render_html(emulated)
    board = section(page, 'id="board-title"')
    assert "Million instructions an inference" in board
    assert "25.0 % of the instructions of float32" in board
    compared = page[page.index("Instructions on qemu") : page.index('id="board-title"')]
    assert "11.8 million instructions" in compared
    for part in (board, compared[: compared.index("</details>")]):
        assert TIME.findall(re.sub("<td>interleaved.*?</td>", "", part)) == []  # the protocol
        assert "Latency" not in part
        assert "slow-down" not in part


def test_the_terminal_shows_instructions(emulated: RunRecord) -> None:
    out = io.StringIO()
    summary(emulated, Console(file=out, width=200))
    text = out.getvalue()
    part = text[text.index("Instructions, counted") : text.index("Gates")]
    assert TIME.findall(part) == []
    assert "% of the instructions" in part


def test_the_tables_of_commands_show_instructions(capfd: pytest.CaptureFixture[str]) -> None:
    bench_tables.show(counted())
    bench_tables.show_history(counted())
    text = capfd.readouterr().out
    assert TIME.findall(text) == []
    assert "Million instructions an inference on qemu, emulated" in text
