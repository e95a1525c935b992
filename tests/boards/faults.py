"""The table of faults: what is broken, and what must come of it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from snapq.devices.boards import Board, BoardSetup
from snapq.runner.measure import Limits
from tests.boards import boards, sshd

Arrange = Callable[[sshd.Sshd, Path], AbstractContextManager[Board]]


@dataclass(frozen=True)
class Fault:
    """One row.

    Attributes:
        name: what is broken.
        arrange: breaks it, yields the board to measure on, and mends it afterwards.
        error: what the one error says; None where the measurement recovers by itself.
    """

    name: str
    arrange: Arrange
    error: str | None
    limits: Limits = field(default_factory=lambda: Limits(step_s=60, silence_s=5, wait_s=1))


def _address(change: Callable[[sshd.Sshd, Path], dict[str, object]]) -> Arrange:
    """The board at another address."""

    @contextmanager
    def arrange(server: sshd.Sshd, folder: Path) -> Iterator[Board]:
        board = boards.board(server)
        address = replace(board.address, **change(server, folder))  # type: ignore[arg-type]
        yield replace(board, address=address)

    return arrange


def _no_known_hosts(server: sshd.Sshd, folder: Path) -> dict[str, object]:
    (folder / "none").touch()
    return {"known_hosts": folder / "none"}


def _other_host_key(server: sshd.Sshd, folder: Path) -> dict[str, object]:
    public = sshd.make_key(folder / "other").with_suffix(".pub").read_text()
    (folder / "known").write_text(f"[127.0.0.1]:{server.port} {public}")
    return {"known_hosts": folder / "known"}


def _wrong_key(server: sshd.Sshd, folder: Path) -> dict[str, object]:
    return {"identity": sshd.make_key(folder / "wrong")}


def _closed_port(server: sshd.Sshd, folder: Path) -> dict[str, object]:
    port = sshd.free_port()
    return {"port": port}


def python_script(script: str) -> Arrange:
    """A script in the place of the board's Python."""

    @contextmanager
    def arrange(server: sshd.Sshd, folder: Path) -> Iterator[Board]:
        program = folder / "python3"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        yield replace(boards.board(server), setup=BoardSetup(python=str(program)))

    return arrange


@contextmanager
def _no_python(server: sshd.Sshd, folder: Path) -> Iterator[Board]:
    yield replace(boards.board(server), setup=BoardSetup(python="no-such-python3"))


def _signal(number: signal.Signals, which: int) -> Arrange:
    """A signal to the agent (0) or to the process that holds a model (1), while it works."""

    def act(server: sshd.Sshd) -> None:
        for _ in range(500):
            found = sorted(process.pid for process in boards.agents(server))
            if len(found) >= 2:
                time.sleep(0.3)
                with suppress(ProcessLookupError):
                    os.kill(found[which], number)
                return
            time.sleep(0.02)

    @contextmanager
    def arrange(server: sshd.Sshd, folder: Path) -> Iterator[Board]:
        thread = threading.Thread(target=act, args=(server,), daemon=True)
        thread.start()
        yield boards.board(server)
        thread.join()

    return arrange


def _on_files(change: Callable[[Path], None]) -> Arrange:
    """A change of the files that an earlier push left on the board."""

    @contextmanager
    def arrange(server: sshd.Sshd, folder: Path) -> Iterator[Board]:
        change(server.home / ".snapq")
        yield boards.board(server)

    return arrange


def _turn_a_bit(root: Path) -> None:
    largest = max((root / "objects").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)


def _edit_manifest(root: Path) -> None:
    for manifest in (root / "folders").glob("*/manifest.json"):
        manifest.write_text(manifest.read_text().replace("w8a8", "w8a9"))


def _link_a_model(root: Path) -> None:
    for model in (root / "folders").glob("*/model.onnx"):
        model.unlink()
        model.symlink_to("/etc/passwd")


def _lose_a_file(root: Path) -> None:
    for model in (root / "folders").glob("*/model.onnx"):
        model.unlink()


def _strange_times(root: Path) -> None:
    for number, path in enumerate(sorted((root / "objects").iterdir())):
        os.utime(path, (0, 0) if number % 2 else (4.1e9, 4.1e9))


@contextmanager
def _other_host(server: sshd.Sshd, folder: Path) -> Iterator[Board]:
    """Somebody else measures, and does not end."""
    with (server.home / ".snapq/lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("ada on lovelace, since noon")
        file.flush()
        yield boards.board(server)


@contextmanager
def _other_host_for_a_moment(server: sshd.Sshd, folder: Path) -> Iterator[Board]:
    file = (server.home / ".snapq/lock").open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    timer = threading.Timer(1.5, file.close)
    timer.start()
    yield boards.board(server)
    timer.join()


def _mounted(options: str) -> Arrange:
    """A file system of its own in the place of the home; only root can do that."""

    @contextmanager
    def arrange(server: sshd.Sshd, folder: Path) -> Iterator[Board]:
        command = ["mount", "-t", "tmpfs", "-o", options, "snapq-test", str(server.home)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("a small file system needs root")
        try:
            yield boards.board(server)
        finally:
            subprocess.run(["umount", "--lazy", str(server.home)], check=True)

    return arrange


@contextmanager
def _no_libraries(server: sshd.Sshd, folder: Path) -> Iterator[Board]:
    """A Python without onnxruntime, and a host that cannot fetch it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        patch.setenv("PIP_INDEX_URL", (folder / "no-index").as_uri())
        patch.setenv("PIP_EXTRA_INDEX_URL", "")
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        venv.create(folder / "python", symlinks=True)
        python = str(folder / "python/bin/python")
        yield replace(boards.board(server), setup=BoardSetup(python=python))


@contextmanager
def _other_soc(server: sshd.Sshd, folder: Path) -> Iterator[Board]:
    yield replace(boards.board(server), profile="sm8650")


FAULTS = (
    Fault("wrong key", _address(_wrong_key), r"does not let user .* in\. Tried: key "),
    Fault("unknown host", _address(_no_known_hosts), r"not known.*SHA256:.*known_hosts|none"),
    Fault("changed host key", _address(_other_host_key), r"CHANGED.*SHA256:.*ssh-keygen -R"),
    Fault("nothing listens", _address(_closed_port), "Nothing listens"),
    Fault("Python missing", _no_python, "There is no no-such-python3 on the board"),
    Fault("Python too old", python_script("echo 'Unknown option: -I' >&2; exit 2"), "too old"),
    Fault(
        "Python that prints",
        python_script("echo Welcome!"),
        "no answer: 'Welcome!'",
    ),
    Fault("onnxruntime missing, no network", _no_libraries, "cannot be fetched"),
    Fault("disk nearly full", _mounted("size=1m"), r"has 1 MB free and the push needs"),
    Fault("read-only home", _mounted("ro"), "Read-only file system.*permissions"),
    Fault("agent killed", _signal(signal.SIGKILL, 0), "was killed"),
    Fault("agent stopped", _signal(signal.SIGSTOP, 0), "said nothing for 5 s"),
    Fault("model's process killed", _signal(signal.SIGKILL, 1), r"unexpectedly \(SIGKILL\)"),
    Fault(
        "model's process hangs",
        _signal(signal.SIGSTOP, 1),
        r"gave no answer in [\d.]+ s",
        Limits(step_s=3, silence_s=6),
    ),
    Fault("a bit turned over", _on_files(_turn_a_bit), None),
    Fault("manifest edited on the board", _on_files(_edit_manifest), None),
    Fault("a link in the place of a model", _on_files(_link_a_model), None),
    Fault("a file lost", _on_files(_lose_a_file), None),
    Fault("clock years off", _on_files(_strange_times), None),
    Fault("another host measures", _other_host, r"else measures.*ada on lovelace, since noon"),
    Fault("another host ends", _other_host_for_a_moment, None, Limits(wait_s=30)),
    Fault("another SoC", _other_soc, None),
)
