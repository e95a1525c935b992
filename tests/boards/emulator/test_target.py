"""Models run on an emulated board as on a real one; its times are instructions, and repeat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snapq.benchmarking.targets.base import Candidate
from snapq.benchmarking.targets.resolve import resolve_target
from snapq.boards.emulator.address import EmulatedAddress
from snapq.boards.emulator.lifecycle import EmulatedBoard
from snapq.boards.emulator.npu_state import NpuState
from snapq.boards.manage import probe_board
from snapq.config import BenchmarkConfig
from snapq.config.reading import load
from snapq.errors import ConfigError, DeviceError
from snapq.records import Origin
from tests.assets import EXAMPLE
from tests.boards.emulator.small_model import feeds

PROTOCOL = BenchmarkConfig()


def test_three_runs_repeat_on_another_board_and_are_no_claim(
    board: EmulatedBoard, small_model: Path
) -> None:
    candidate = Candidate("float", small_model, next(feeds(1)))
    first, second = (
        resolve_target(target).measure([candidate], PROTOCOL).records[0]
        for target in (f"qemu://{board.name}", f"qemu://{board.name}-again?soc=sm8650")
    )
    assert first.instructions is not None
    assert first.latency_ms.n == 3
    assert np.ptp(first.samples) < 5e-3 * first.latency_ms.p50
    assert not first.remarks
    # Of nine million, one tick of the kernel more is already half a thousandth.
    assert second.instructions == pytest.approx(first.instructions, rel=3e-3)
    assert first.where == Origin.EMULATED
    assert not first.valid.ok
    assert "the board is emulated" in first.valid.reasons
    assert first.target.transport == "ssh"
    assert first.target.soc == "sm8650"
    assert "ran on the CPU" in first.headline


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("qemu", EmulatedAddress()),
        ("qemu://board", EmulatedAddress("board")),
        ("qemu://?soc=sm8650", EmulatedAddress(None, "sm8650")),
        ("qemu://b?soc=sm8650&npu=no-link", EmulatedAddress("b", "sm8650", NpuState.NO_LINK)),
        ("ssh://board", None),
        ("local", None),
    ],
)
def test_a_target_names_an_emulated_board(text: str, found: EmulatedAddress | None) -> None:
    assert EmulatedAddress.parse(text) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("qemu:board", "not an emulated board"),
        ("qemu://board/path", "not an emulated board"),
        ("qemu://b?soc", "not an emulated board"),
        ("qemu://b?sock=sm8650", "Did you mean soc"),
        ("qemu://b?npu=broken", "no-answer"),
    ],
)
def test_a_target_that_goes_on_wrongly_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        resolve_target(text)


def test_an_emulated_board_that_must_use_its_npu_is_refused_before_it_starts() -> None:
    with pytest.raises(DeviceError, match="no NPU"):
        resolve_target("qemu").check(BenchmarkConfig(allow=("npu",)))


def test_a_running_board_is_not_taken_for_another(board: EmulatedBoard, small_model: Path) -> None:
    target = resolve_target(f"qemu://{board.name}?soc=qcs9075")
    with pytest.raises(DeviceError, match="pretends to be sm8650"):
        target.measure([Candidate("float", small_model, next(feeds(1)))], PROTOCOL)


def test_a_probe_of_an_emulated_board_says_what_it_lacks(board: EmulatedBoard) -> None:
    probed = probe_board(f"qemu://{board.name}")
    assert probed.facts.emulated
    assert probed.facts.soc_id == 557
    assert probed.facts.has_npu
    assert len(probed.facts.thermal_zones) == 3
    assert {need.name for need in probed.requirements if not need.ok} <= {"clock"}


def test_a_board_that_does_not_run_is_named_with_the_command_that_starts_it(
    emulator_cache: None,
) -> None:
    with pytest.raises(DeviceError, match="snapq board emulate start nowhere"):
        probe_board("qemu://nowhere")


def test_the_example_of_a_board_measures_on_an_emulated_one() -> None:
    config = load(EXAMPLE / "board.yaml")
    assert config.benchmark is not None
    target = resolve_target(config.benchmark.target)
    assert target.where == Origin.EMULATED
    assert config.devices == ("sm8650",)
