"""What must hold whatever breaks, wherever the board is: one error or none, and nothing left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from snapq.benchmarking.targets.base import Candidate
from snapq.benchmarking.targets.board import BoardTarget
from snapq.boards.session.measure import Limits
from snapq.errors import DeviceError, SnapqError
from tests.boards import boards
from tests.boards.faults import Fault
from tests.boards.sshd import Cable
from tests.boards.tested_board import TestedBoard

ONCE = boards.QUICK.model_copy(update={"repeats": 1, "min_runs": 1})


def check_clean(tested: TestedBoard) -> None:
    """No process is left, and no folder holds half a file."""
    assert tested.agents() == []
    assert tested.unfinished() == []


def check_fault(
    fault: Fault, tested: TestedBoard, package: Sequence[Candidate], folder: Path
) -> None:
    """A fault ends in one error with a place and a hint, or none; the next measurement succeeds."""
    longer = ONCE.model_copy(update={"min_duration_s": 1.5 * tested.patience})
    with fault.arrange(tested, folder) as board:
        target = BoardTarget(board, limits=_patient(fault.limits, tested))
        if fault.error is None:
            target.measure(package, ONCE)
        else:
            with pytest.raises(SnapqError, match=f"(?s){fault.error}") as raised:
                target.measure(package, longer)
            assert raised.value.where
            assert raised.value.hint
        check_clean(tested)
    check_measures(tested, package)


def check_measures(tested: TestedBoard, package: Sequence[Candidate]) -> None:
    """The board can be measured, and nothing is left of it."""
    target = BoardTarget(tested.board, limits=_patient(Limits(), tested))
    assert target.measure(package, ONCE).records[0].latency_ms.n
    check_clean(tested)


def check_cuts(tested: TestedBoard, cut_s: Sequence[float], package: Sequence[Candidate]) -> None:
    """A connection that breaks after so many seconds ends in an error and leaves nothing."""
    for seconds in cut_s:
        with Cable(_port(tested)) as cable:
            address = replace(tested.board.address, **_through(tested, cable))  # type: ignore[arg-type]
            target = BoardTarget(replace(tested.board, address=address))
            timer = threading.Timer(seconds, cable.cut)
            timer.start()
            with pytest.raises(DeviceError) as raised:
                target.measure(package, ONCE.model_copy(update={"min_duration_s": 60}))
            assert raised.value.where
            timer.join()
    check_clean(tested)
    check_measures(tested, package)


def check_ctrl_c(tested: TestedBoard, after_s: float, package: Candidate, folder: Path) -> None:
    """Ctrl-C ends the command and what runs on the board."""
    with _benchmark(tested, package, folder) as process:
        time.sleep(after_s)
        process.send_signal(signal.SIGINT)
        try:
            _, said = process.communicate(timeout=20 * tested.patience)
        finally:
            process.kill()  # so that what went on in spite of it is in no other test's way
    starting = after_s < 0.5  # Python itself is still starting, and its answer is its own
    assert process.returncode == 130 or starting, said
    assert b"Traceback" not in said or starting
    check_clean(tested)


def check_killed_host(tested: TestedBoard, package: Candidate, folder: Path) -> None:
    """A host that is gone leaves no process on the board."""
    process = _benchmark(tested, package, folder)
    tested.wait_for_agent()
    process.kill()
    process.wait()
    check_clean(tested)


def _patient(limits: Limits, tested: TestedBoard) -> Limits:
    return Limits(
        limits.step_s * tested.patience,
        limits.silence_s * tested.patience,
        limits.wait_s * tested.patience,
    )


def _port(tested: TestedBoard) -> int:
    return int(tested.board.address.port)  # type: ignore[union-attr, arg-type]


def _through(tested: TestedBoard, cable: Cable) -> dict[str, object]:
    """The address of a cable to the board, whose host key is known there too."""
    known = tested.board.address.known_hosts  # type: ignore[union-attr]
    assert known is not None
    here = f"[127.0.0.1]:{_port(tested)}"
    lines = [line for line in known.read_text().splitlines() if line.startswith(here)]
    path = known.with_name(f"known_hosts.{cable.port}")
    path.write_text(
        "".join(line.replace(here, f"[127.0.0.1]:{cable.port}") + "\n" for line in lines)
    )
    return {"port": cable.port, "known_hosts": path}


def _benchmark(tested: TestedBoard, package: Candidate, folder: Path) -> subprocess.Popen[bytes]:
    address, setup = tested.board.address, tested.board.setup
    inventory = folder / "boards.yaml"
    inventory.write_text(
        f"boards:\n  - name: bench\n    address: ssh://{address.user}@127.0.0.1:{_port(tested)}\n"  # type: ignore[union-attr]
        f"    identity: {address.identity}\n    known_hosts: {address.known_hosts}\n"  # type: ignore[union-attr]
        f"    setup: {{python: {setup.python}}}\n"
    )
    words = ["benchmark", str(package.bundle), "--target", "bench", "--allow", "cpu"]
    return subprocess.Popen(
        [sys.executable, "-m", "snapq", *words, "--min-duration", "60"],
        env={**os.environ, "SNAPQ_BOARDS": str(inventory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
