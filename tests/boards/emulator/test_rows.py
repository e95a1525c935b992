"""A forest on an emulated board: head, part for the NPU and tail on another processor's NumPy."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapq.benchmarking.run import bundle_candidates
from snapq.benchmarking.targets.resolve import resolve_target
from snapq.boards.emulator.lifecycle import EmulatedBoard
from snapq.bundle.read import Bundle
from snapq.config import BenchmarkConfig
from snapq.records import Origin
from tests.boards.rows_bundle import deploy
from tests.classical.tables import forest

pytestmark = [pytest.mark.slow, pytest.mark.npu]
PROTOCOL = BenchmarkConfig(
    warmup=1,
    min_runs=3,
    min_duration_s=0,
    repeats=1,
    allow=("cpu",),  # its NPU is tried elsewhere
)


def test_an_emulated_board_answers_as_onnxruntime_does_and_counts_each_part(
    board: EmulatedBoard, tmp_path: Path
) -> None:
    bundle = Bundle.open(deploy(tmp_path, forest()))
    found = resolve_target(f"qemu://{board.name}").measure(
        bundle_candidates(bundle, PROTOCOL), PROTOCOL
    )
    cpu, package = found.records
    assert (cpu.target.machine, package.target.machine) == ("aarch64", "aarch64")
    assert [one.met for one in (*cpu.answers, *package.answers)] == [True] * 4
    labels = package.answers[0]
    assert labels.equal + labels.ties == labels.rows == 16
    parts, verdict = package.parts_ms, package.verdict
    assert parts is not None
    assert min(parts.encode, parts.call, parts.decode) > 0
    assert verdict is not None
    assert (verdict.winner, verdict.where) == (None, Origin.EMULATED)
    assert "says nothing of who wins" in verdict.sentence
    assert "million for the head" in verdict.sentence
