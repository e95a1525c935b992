"""Starts programs that end with this process, however it ends; see `guard`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_GUARD = Path(__file__).with_name("guard.py")
_GUARDS: list[subprocess.Popen[bytes]] = []
"""While the standard input of a guard is open, its program lives: none may be forgotten."""


def start(words: Sequence[str], log: Path) -> int | None:
    """Starts a program under a guard.

    Args:
        words: the program and its arguments.
        log: file that takes what it prints.

    Returns:
        Its process number; None where it could not be started, and the log says why.

    Raises:
        OSError: the log cannot be written.
    """
    with log.open("wb") as file:
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_GUARD), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            start_new_session=True,  # Ctrl-C is this process's to handle
        )
    _GUARDS.append(guard)
    assert guard.stdout is not None
    line = guard.stdout.readline()
    return int(line) if line.strip().isdigit() else None
