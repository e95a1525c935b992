"""Whatever breaks ends in one clear error or mends itself, and the next measurement succeeds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from snapq.bundle.build import Built
from snapq.bundle.opened import Bundle
from snapq.devices.targets.base import Candidate
from snapq.devices.targets.board import BoardTarget
from snapq.devices.transports.connect import connect
from snapq.errors import ConnectionLostError, DeviceError, SnapqError
from snapq.progress import Silent
from snapq.runner.push import PushedFile, push
from tests.boards import boards, sshd
from tests.boards.faults import FAULTS, Fault

ONCE = boards.QUICK.model_copy(update={"repeats": 1, "min_runs": 1})
LONGER = ONCE.model_copy(update={"min_duration_s": 1.5})


@pytest.fixture(scope="session")
def package(bundle: tuple[Built, Path]) -> list[Candidate]:
    opened = Bundle.open(bundle[1] / "bundle")
    return [Candidate("w8a8", opened.model, next(opened.golden_feeds()), opened.path)]


@pytest.fixture
def ready(server: sshd.Sshd, package: list[Candidate]) -> None:
    """The board has what a measurement leaves there."""
    if not list((server.home / ".snapq/folders").glob("*")):
        BoardTarget(boards.board(server)).measure(package, ONCE)


def check_clean(server: sshd.Sshd) -> None:
    """No process is left, and no folder holds half a file or a foreign one."""
    for _ in range(100):
        if not boards.agents(server):
            break
        time.sleep(0.05)
    assert boards.agents(server) == []
    assert list((server.home / ".snapq").rglob(".tmp-*")) == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_ends_in_one_error_or_mends_itself(
    fault: Fault, server: sshd.Sshd, package: list[Candidate], tmp_path: Path, ready: None
) -> None:
    with fault.arrange(server, tmp_path) as board:
        target = BoardTarget(board, limits=fault.limits)
        if fault.error is None:
            target.measure(package, ONCE)
        else:
            with pytest.raises(SnapqError, match=f"(?s){fault.error}") as raised:
                target.measure(package, LONGER)
            assert raised.value.where
            assert raised.value.mend
        check_clean(server)
    assert BoardTarget(boards.board(server)).measure(package, ONCE).records[0].latency_ms.n
    check_clean(server)


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
    server: sshd.Sshd, package: list[Candidate], ready: None
) -> None:
    for part in range(10):
        with sshd.Cable(server.port) as cable:
            server.know(cable.port)
            cut = BoardTarget(boards.board(server, cable.port))
            timer = threading.Timer(0.05 + 0.15 * part, cable.cut)
            timer.start()
            try:
                cut.measure(package, ONCE.model_copy(update={"min_duration_s": 3}))
                raise AssertionError("it ended before the cut")
            except DeviceError as error:
                assert error.where
            timer.join()
    check_clean(server)
    BoardTarget(boards.board(server)).measure(package, ONCE)


@pytest.mark.parametrize("delay_s", [0.2, 0.7, 1.2, 1.7, 2.5])
def test_ctrl_c_at_any_time_ends_both_sides(
    delay_s: float, server: sshd.Sshd, package: list[Candidate], tmp_path: Path, ready: None
) -> None:
    process = _benchmark(server, package, tmp_path)
    time.sleep(delay_s)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130 or delay_s < 0.5, said
    assert b"Traceback" not in said or delay_s < 0.5
    check_clean(server)


def test_a_host_that_is_killed_leaves_nothing_on_the_board(
    server: sshd.Sshd, package: list[Candidate], tmp_path: Path, ready: None
) -> None:
    process = _benchmark(server, package, tmp_path)
    for _ in range(200):
        if len(boards.agents(server)) >= 2:
            break
        time.sleep(0.05)
    process.kill()
    process.wait()
    check_clean(server)


def _benchmark(
    server: sshd.Sshd, package: list[Candidate], folder: Path
) -> subprocess.Popen[bytes]:
    (folder / "boards.yaml").write_text(
        f"boards:\n  - name: bench\n    address: ssh://{sshd.user()}@127.0.0.1:{server.port}\n"
        f"    identity: {server.key}\n    known_hosts: {server.known_hosts}\n"
        f"    setup: {{python: {sys.executable}}}\n"
    )
    words = ["benchmark", str(package[0].bundle), "--target", "bench", "--allow", "cpu"]
    return subprocess.Popen(
        [sys.executable, "-m", "snapq", *words, "--min-duration", "20"],
        env={**os.environ, "SNAPQ_BOARDS": str(folder / "boards.yaml")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
