"""Whose a running trial is, and whether that process is still there.

Of a process of this machine the system knows. One on another machine gives a sign of life now and
then; where it was silent for long, its trial is somebody else's.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

__all__ = ["BEAT_S", "SILENT_S", "is_gone", "owner", "signs"]

BEAT_S = 60.0
"""Seconds between two signs of life."""
SILENT_S = 900.0
"""So long silent, a process of another machine has ended; its clock may be some minutes off."""


def owner() -> dict[str, Any]:
    """What tells the process that asks from all others, as JSON values."""
    process = psutil.Process()
    return {
        "host": socket.gethostname(),
        "space": _space(),
        "pid": process.pid,
        "started": process.create_time(),
        "seen": time.time(),
    }


def is_gone(owner: Mapping[str, Any], seen: float | None) -> bool:
    """Whether a process has ended.

    Args:
        owner: the process, when it began the trial.
        seen: its last sign of life since, in seconds since 1970; None where it gave none.
    """
    if owner["host"] != socket.gethostname() or owner.get("space") != _space():
        return time.time() - (seen or owner["seen"]) > SILENT_S
    if owner["pid"] == os.getpid() and abs(psutil.Process().create_time() - owner["started"]) < 1:
        return False
    try:
        return bool(abs(psutil.Process(owner["pid"]).create_time() - owner["started"]) >= 1)
    except psutil.Error:
        return True


def _space() -> int | None:
    """What tells the numbers of this machine's processes from those of a container's."""
    with suppress(OSError):
        return Path("/proc/self/ns/pid").stat().st_ino
    return None


@contextmanager
def signs(give: Callable[[], bool], every_s: float = BEAT_S) -> Iterator[None]:
    """Gives signs of life while the block runs, in a thread.

    Args:
        give: gives one; whether to go on.
        every_s: seconds between two of them.
    """
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(every_s) and give():
            pass

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
