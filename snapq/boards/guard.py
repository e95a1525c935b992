"""Runs a program that cannot outlive whoever started it. Uses the standard library alone.

usage: guard.py PROGRAM [ARGUMENT…]

The starter holds the other end of our standard input. It closes when the starter ends, however it
ends, and the program is ended then. Should this process be killed, the kernel kills the program.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading

_PR_SET_PDEATHSIG = 1
_PATIENCE_S = 5


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    """Runs the program; returns its exit code."""
    child = subprocess.Popen(
        sys.argv[1:],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        preexec_fn=_die_with_parent,
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


if __name__ == "__main__":
    sys.exit(main())
