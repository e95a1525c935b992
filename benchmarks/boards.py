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

import numpy as np

from snapq.boards.onboard.agent.child import Model
from snapq.boards.session.load import npz
from snapq.boards.session.push import PushedFile, push
from snapq.boards.transports.base import connect
from snapq.bundle.read import Bundle
from snapq.progress import Silent
from tests.boards import sshd
from tests.bundle.bundles import make

MEGABYTES = 100
ROUNDS = 3
TURNS = 500


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


def agent(folder: Path) -> None:
    """Prints the agent's median over that of a plain loop over the same session, in turns."""
    make(folder)
    opened = Bundle.open(folder / "bundle")
    (folder / "bundle" / "feeds.npz").write_bytes(npz(next(opened.golden_feeds())))
    model = Model()
    fallback = {"model": "model.onnx", "npu": False, "options": {}}
    candidate = {"folder": str(opened.path), "files": [], "feeds": "feeds.npz", "golden": []}
    model.load({"fallback": fallback, "candidate": candidate, "protocol": {"threads": 1}})
    session, feeds = model._session, model._feeds
    plain: list[float] = []
    theirs: list[float] = []
    for _ in range(TURNS):
        theirs += model.turn({"runs": 20, "settle": 1})["ms"]
        session.run(None, feeds)
        for _ in range(20):
            started = time.perf_counter_ns()
            session.run(None, feeds)
            plain.append((time.perf_counter_ns() - started) / 1e6)
    print(f"agent's p50 over a plain loop's: {np.median(theirs) / np.median(plain):.3f}")


def main() -> None:
    """Starts the server and prints everything."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "server").mkdir()
        with sshd.running(folder / "server") as server:
            pushes(server, folder)
        agent(folder / "model")


if __name__ == "__main__":
    main()
