"""What processes of the agent say, and how they fail."""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

__all__ = ["FailedError", "ToldError", "answer_elsewhere", "tell"]

_print_lock = threading.Lock()
_answers = [sys.stdout.buffer]


class ToldError(Exception):
    """Work that cannot go on, of which the host has been told already."""


class FailedError(Exception):
    """Work that cannot go on: what, where, hint."""


def tell(kind: str, **values: Any) -> None:
    """Sends one line to whoever started this process."""
    line = json.dumps({"type": kind, **values})
    with _print_lock:
        _answers[0].write(line.encode() + b"\n")
        _answers[0].flush()


def answer_elsewhere() -> None:
    """Keeps what native libraries print from falling between the answers."""
    _answers[0] = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
