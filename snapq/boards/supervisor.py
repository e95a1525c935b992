"""Starts programs that cannot outlive this process, however it ends.

`start` runs this file as a program of its own, the supervisor, which uses the standard library
alone and runs the program as its child:

    supervisor.py PROGRAM [ARGUMENT…]

Whoever started it holds the other end of its standard input. That closes when the starter ends,
and the program is ended then. Should the supervisor be killed, the kernel kills the program.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PATIENCE_S = 5
_SUPERVISORS: list[subprocess.Popen[bytes]] = []
"""While the standard input of a supervisor is open, its program lives: none may be forgotten."""


def start(words: Sequence[str], log: Path) -> int | None:
    """Starts a program under a supervisor.

    Args:
        words: the program and its arguments.
        log: file that takes what it prints.

    Returns:
        Its process number; None where it could not be started, and the log says why.

    Raises:
        OSError: the log cannot be written.
    """
    with log.open("wb") as file:
        supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            start_new_session=True,  # Ctrl-C is this process's to handle
        )
    _SUPERVISORS.append(supervisor)
    assert supervisor.stdout is not None
    line = supervisor.stdout.readline()
    return int(line) if line.strip().isdigit() else None


def free_port() -> int:
    """A port of this machine's loopback that no program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def main() -> int:
    """Runs the program; returns its exit code."""
    child = subprocess.Popen(
        sys.argv[1:], stdin=subprocess.DEVNULL, stdout=sys.stderr, preexec_fn=_die_with_parent
    )
    print(child.pid, flush=True)

    def watch() -> None:
        while os.read(0, 1):
            pass
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_PATIENCE_S)
        child.kill()

    threading.Thread(target=watch, daemon=True).start()
    return child.wait()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
