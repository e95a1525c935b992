"""A bundle on a board whose NPU cannot be used: it runs on the CPU, and the result says why.

The board's library of the execution provider is the real one for aarch64.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from snapq.benchmarking.run import benchmark_bundle
from snapq.boards.emulator import soc_appearance
from snapq.boards.emulator.lifecycle import EmulatedBoard
from snapq.boards.emulator.npu_state import NpuState
from snapq.config import BenchmarkConfig
from snapq.progress import Silent
from snapq.records.bench import BenchRecord
from tests.bundle.bundles import make

PROTOCOL = BenchmarkConfig(warmup=1, min_runs=2, min_duration_s=0, repeats=1)

SAID: dict[NpuState, tuple[str, str]] = {
    NpuState.NO_DEVICE: ("no device node of an NPU", ""),
    NpuState.UNKNOWN_SOC: ("not a Snapdragon that Qualcomm's runtime knows", "supported board"),
    NpuState.NO_LIBRARY: ("libcdsprpc.so, is not found", "without a version"),
    NpuState.NO_LINK: ("libcdsprpc.so, is not found", "without a version"),
    NpuState.NO_ANSWER: ("NPU does not answer", "ADSP_LIBRARY_PATH"),
    NpuState.NO_LIBATOMIC: ("library of Qualcomm's runtime cannot be loaded", "libatomic1"),
}
"""State of the board to the reason and a hint that the result gives."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A w8a8 bundle of a small network, compiled for the SoC that the board pretends to have."""
    folder = tmp_path_factory.mktemp("bundle")
    make(folder, devices=("sm8650",))
    return folder / "bundle"


def measured(board: EmulatedBoard, bundle: Path, state: NpuState) -> BenchRecord:
    shell = [sys.executable, "-m", "snapq", "board", "emulate", "shell", board.name, "--"]
    subprocess.run([*shell, f"/{soc_appearance.PROGRAM}", state.value], check=True, timeout=120)
    found = benchmark_bundle(bundle, f"qemu://{board.name}", PROTOCOL, None, Silent())
    return found.records[0]


@pytest.mark.parametrize("state", NpuState)
def test_the_result_says_that_it_ran_on_the_cpu_and_why(
    board: EmulatedBoard, bundle: Path, state: NpuState
) -> None:
    record = measured(board, bundle, state)
    reason, hint = SAID[state]
    assert record.placement.fallback == "cpu"
    assert record.headline.startswith("w8a8 ran on the CPU of")
    assert reason in record.headline
    assert hint in " ".join(one.hint or "" for one in record.placement.skipped)
    assert "not everything ran on the NPU" in record.valid.reasons
    assert all(golden.largest <= 2 for golden in record.golden)
