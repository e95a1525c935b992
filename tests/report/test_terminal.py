"""The summary at the end of a run, as a terminal shows it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from snapq.records import RunRecord
from snapq.report.terminal import summary
from tests.report import report_records as records

REPORT = Path("runs/efficientnet-lite0/2026-11-23_09-12-41/report.html")


def shown(record: RunRecord, width: int = 120, encoding: str = "utf-8") -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    summary(record, Console(file=stream, width=width), REPORT)
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode(encoding)


def test_summary_has_each_figure_with_its_word_and_what_it_rests_on() -> None:
    lines = [" ".join(line.split()) for line in shown(records.realistic(), 160).splitlines()]
    for claim in (
        "Passed: 3 of 3 gates",
        "Top-1 float 87.8 % host, 500 images of data/val",
        "Top-1 w8a8 87.2 % simulated, qcs9075, 500 images of data/val, −0.6 points from float",
        "w8a8 on qcs9075 64 of 64 nodes on the NPU 1 partition",
        "compiled for qcs9075 5.11 MB 4.40 MB compressed",
        "fp16 same boundary 868 µs estimated, 712 µs to 1.05 ms",
        "w8a8 over fp16 unmodified 4.44× estimated",
        "Latency on sm8650 (estimates of qcs9075)",
        "min_estimated_speedup passed found 4.44, limit 3.8",
        f"Report: {REPORT}",
    ):
        assert claim in lines
    assert any(
        line.startswith("w8a8 over float32 1.71× measured on this machine's CPU, 95 %")
        for line in lines
    )


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize(
    "make", [records.empty, records.realistic, records.troubled, records.hostile]
)
def test_summary_fits_any_width_but_never_breaks_the_path(
    make: Callable[[], RunRecord], width: int
) -> None:
    *lines, last = shown(make(), width).rstrip("\n").split("\n")
    assert last == f"Report: {REPORT}"
    assert all(cell_len(line) <= width for line in lines)


def test_names_can_neither_style_nor_steer_the_terminal() -> None:
    text = shown(records.hostile())
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "[red]not red[/red]" in text
    assert r"escape\x1b[31mred\x07\u202etxt" in text


def test_terminal_without_unicode_gets_plain_letters() -> None:
    text = shown(records.realistic(), encoding="ascii")
    assert "4.44x" in text
    assert "868 us" in text
    assert "-0.6 points" in text
    shown(records.hostile(), encoding="ascii")


def test_failures_are_said_first() -> None:
    text = shown(records.troubled(), 100)
    head = text[: text.index("Accuracy\n")]
    assert "Failed: 1 of 3 gates (max_accuracy_drop)" in head
    assert "Random inputs" in head
    assert "2 nodes of w8a8 on qcs6490 run on the CPU" in head
    assert "too low: 3 without a cost" in " ".join(text.split())


def test_summary_says_what_the_stages_noted_and_how_much_it_leaves_out() -> None:
    record = records.realistic()
    noted = record.stages[0].model_copy(update={"notes": tuple(f"note {n}" for n in range(20))})
    output = shown(record.model_copy(update={"stages": (noted, *record.stages[1:])}))
    assert "note 0" in output
    assert "note 19" not in output
    assert "more in the report" in output
