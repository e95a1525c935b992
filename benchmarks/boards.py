"""How fast a push is, and how near the agent's figures are to ONNX Runtime's own loop.

    python -m benchmarks.boards

Starts an OpenSSH server on loopback and prints ratios that were measured in one run, interleaved:
a first push of 100 MB against `sftp`, a second push of the same, and the agent's median against a
plain loop over the same session.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from snapq.bundle.opened import Bundle
from snapq.config import BenchmarkConfig
from snapq.devices.targets.base import Candidate
from snapq.devices.targets.board import BoardTarget
from snapq.devices.transports.connect import connect
from snapq.progress import Silent
from snapq.runner.push import PushedFile, push
from snapq.runtime import cpu_session
from tests.boards import boards, sshd
from tests.bundle.bundles import make

MEGABYTES = 100
ROUNDS = 3
TURNS = 12


def sftp_s(server: sshd.Sshd, file: Path) -> float:
    """Seconds that OpenSSH's sftp takes."""
    words = ["sftp", "-q", "-o", f"UserKnownHostsFile={server.known_hosts}", "-P", str(server.port)]
    batch = f"put {file} {server.home}/sftp-copy\n".encode()
    started = time.perf_counter()
    subprocess.run(
        [*words, "-i", str(server.key), "-b", "-", f"{sshd.user()}@127.0.0.1"],
        input=batch,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - started


def push_s(server: sshd.Sshd, files: list[PushedFile]) -> tuple[float, int]:
    """Seconds that a push takes, and the bytes that went over the cable."""
    with sshd.Cable(server.port) as cable:
        server.know(cable.port)
        started = time.perf_counter()
        with connect(server.address(cable.port)) as transport:
            push(transport, files, Silent(), python=sys.executable)
        return time.perf_counter() - started, cable.sent


def direct_push_s(server: sshd.Sshd, files: list[PushedFile]) -> float:
    """Seconds that a push takes without the cable between."""
    started = time.perf_counter()
    with connect(server.address()) as transport:
        push(transport, files, Silent(), python=sys.executable)
    return time.perf_counter() - started


def pushes(server: sshd.Sshd, folder: Path) -> None:
    """Prints the ratios of pushes."""
    ours, theirs = [], []
    for number in range(ROUNDS):
        path = folder / f"data{number}"
        path.write_bytes(os.urandom(MEGABYTES * 1_000_000))
        file = PushedFile.of("data", path.read_bytes())
        theirs.append(sftp_s(server, path))
        ours.append(direct_push_s(server, [file]))
    print(f"first push: {min(theirs) / min(ours):.2f} of sftp's speed ({min(ours):.2f} s)")
    again, sent = push_s(server, [file])
    print(f"second push: {again:.2f} s, {sent / 1000:.1f} kB sent")


def agent(server: sshd.Sshd, folder: Path) -> None:
    """Prints the agent's median over that of a plain loop, in turns."""
    make(folder)
    opened = Bundle.open(folder / "bundle")
    feeds = next(opened.golden_feeds())
    model = Path(sys.argv[1]) if len(sys.argv) > 1 else opened.model
    if len(sys.argv) > 1:
        session = cpu_session(model)
        feeds = {
            i.name: np.random.default_rng(0).standard_normal(i.shape).astype(np.float32)
            for i in session.get_inputs()
        }
    candidate = Candidate("model", model, feeds)
    protocol = BenchmarkConfig(
        target="board", min_runs=50, min_duration_s=0.3, repeats=1, allow=("cpu",)
    )
    target = BoardTarget(boards.board(server))
    session = cpu_session(model)
    plain: list[float] = []
    theirs: list[float] = []
    for _ in range(TURNS):
        plain += loop_ms(session, feeds)
        found = target.measure([candidate], protocol)
        theirs += found.samples["model"].ravel().tolist()
    for name, figure in (("p50", np.median), ("p5", lambda x: np.percentile(x, 5)), ("min", min)):
        print(f"agent's {name} over a plain loop's: {figure(theirs) / figure(plain):.3f}")


def loop_ms(session: Any, feeds: dict[str, np.ndarray]) -> list[float]:
    """Times of a plain loop over one session."""
    times = []
    for _ in range(100):
        started = time.perf_counter_ns()
        session.run(None, feeds)
        times.append((time.perf_counter_ns() - started) / 1e6)
    return times[10:]


def main() -> None:
    """Starts the server and prints everything."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "server").mkdir()
        with sshd.running(folder / "server") as server:
            pushes(server, folder)
            agent(server, folder / "model")


if __name__ == "__main__":
    main()
