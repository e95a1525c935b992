"""Whatever breaks ends in one clear error or mends itself, and the next measurement succeeds."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from snapq.benchmarking.targets.base import Candidate
from snapq.boards.session.push import PushedFile, push
from snapq.boards.transports.base import connect
from snapq.errors import ConnectionLostError
from snapq.progress import Silent
from tests.boards import recovery, sshd, tested_board
from tests.boards.faults import FAULTS, Fault
from tests.boards.tested_board import TestedBoard


@pytest.fixture(scope="session")
def tested(server: sshd.Sshd, package: list[Candidate]) -> TestedBoard:
    """The server, with what a measurement leaves there."""
    found = tested_board.loopback(server)
    recovery.check_measures(found, package)
    return found


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_ends_in_one_error_or_mends_itself(
    fault: Fault, tested: TestedBoard, package: list[Candidate], tmp_path: Path
) -> None:
    recovery.check_fault(fault, tested, package, tmp_path)


def test_a_push_that_is_cut_at_ten_places_goes_on_from_there(
    server: sshd.Sshd, tmp_path: Path
) -> None:
    data = np.random.default_rng(0).integers(0, 256, 12_000_000, np.uint8).tobytes()
    files = [PushedFile.of(f"part{n}", data[n * 4_000_000 :][:4_000_000]) for n in range(3)]
    for _ in range(10):
        with sshd.Cable(server.port, 1_100_000) as cable:
            server.know(cable.port)
            address = server.address(cable.port)
            with pytest.raises(ConnectionLostError, match="broke"), connect(address) as transport:
                push(transport, files, Silent(), python=sys.executable)
    with sshd.Cable(server.port) as cable:
        server.know(cable.port)
        with connect(server.address(cable.port)) as transport:
            pushed = push(transport, files, Silent(), python=sys.executable)
    assert b"".join((Path(pushed.folder) / f.path).read_bytes() for f in files) == data
    assert cable.sent < 0.97 * len(data)


def test_a_measurement_that_is_cut_at_ten_places_leaves_nothing_behind(
    tested: TestedBoard, package: list[Candidate]
) -> None:
    recovery.check_cuts(tested, [0.05 + 0.15 * part for part in range(10)], package)


@pytest.mark.parametrize("after_s", [0.2, 0.7, 1.2, 1.7, 2.5])
def test_ctrl_c_at_any_time_ends_both_sides(
    after_s: float, tested: TestedBoard, package: list[Candidate], tmp_path: Path
) -> None:
    recovery.check_ctrl_c(tested, after_s, package[0], tmp_path)


def test_a_host_that_is_killed_leaves_nothing_on_the_board(
    tested: TestedBoard, package: list[Candidate], tmp_path: Path
) -> None:
    recovery.check_killed_host(tested, package[0], tmp_path)
