"""The faults of `tests/boards` on a whole emulated board; SNAPQ_TEST_ALL=1 tries every one of them.

What breaks on the host's side breaks alike for every board, and a measurement takes long here, so
without that variable only what happens on the board itself is tried.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from snapq.benchmarking.targets.base import Candidate
from snapq.boards.emulator import lifecycle
from snapq.boards.emulator.lifecycle import Options
from snapq.boards.inventory import Board
from snapq.bundle.read import Bundle
from snapq.errors import InstallError
from snapq.progress import Silent
from tests.boards import recovery, tested_board
from tests.boards.faults import FAULTS, Fault
from tests.boards.tested_board import TestedBoard
from tests.bundle.bundles import make

ALL = bool(os.environ.get("SNAPQ_TEST_ALL"))
CHOSEN = ("disk nearly full", "a bit turned over")


@contextmanager
def _another_year(tested: TestedBoard, folder: Path) -> Iterator[Board]:
    """The clock of the board is years behind."""
    now = tested.do("print(time.time())").strip()
    tested.do("time.clock_settime(time.CLOCK_REALTIME, 981_158_400)")
    try:
        yield tested.board
    finally:
        tested.do(f"time.clock_settime(time.CLOCK_REALTIME, {now})")


ROWS = (
    *(fault for fault in FAULTS if ALL or fault.name in CHOSEN),
    Fault("the year is 2001", _another_year, None),
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> list[Candidate]:
    folder = tmp_path_factory.mktemp("bundle")
    make(folder)
    opened = Bundle.open(folder / "bundle")
    return [Candidate("w8a8", opened.model, next(opened.golden_feeds()), opened.path)]


@pytest.fixture(scope="module")
def tested(emulator_cache: None, package: list[Candidate]) -> Iterator[TestedBoard]:
    """A board with what a measurement leaves there.

    It pretends to be no SoC: a process that dies while an NPU is tried is a reason for the CPU.
    """
    name = f"faults-{os.getpid()}"
    try:
        board = lifecycle.start(name, Options(), Silent(), attached=True)
    except InstallError as error:
        pytest.skip(f"no emulated board: {error}")
    found = tested_board.emulated(board)
    recovery.check_measures(found, package)
    yield found
    lifecycle.stop(name)


@pytest.mark.parametrize("fault", ROWS, ids=lambda fault: fault.name)
def test_a_fault_ends_in_one_error_or_mends_itself(
    fault: Fault, tested: TestedBoard, package: list[Candidate], tmp_path: Path
) -> None:
    recovery.check_fault(fault, tested, package, tmp_path)


def test_a_measurement_that_is_cut_leaves_nothing_behind(
    tested: TestedBoard, package: list[Candidate]
) -> None:
    cuts = [0.1 + 1.5 * part for part in range(10)] if ALL else [4.0]
    recovery.check_cuts(tested, cuts, package)


@pytest.mark.skipif(not ALL, reason="SNAPQ_TEST_ALL=1 tries it")
@pytest.mark.parametrize("after_s", [0.2, 1.0, 3.0, 9.0])
def test_ctrl_c_at_any_time_ends_both_sides(
    after_s: float, tested: TestedBoard, package: list[Candidate], tmp_path: Path
) -> None:
    recovery.check_ctrl_c(tested, after_s, package[0], tmp_path)


def test_a_host_that_is_killed_leaves_nothing_on_the_board(
    tested: TestedBoard, package: list[Candidate], tmp_path: Path
) -> None:
    recovery.check_killed_host(tested, package[0], tmp_path)
