"""A child process with one model, as its parent sees it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

from .wire import FailedError

__all__ = ["MAX_LOG_BYTES", "Child", "die", "end_all"]

MAX_LOG_BYTES = 1 << 14
_HINT = "Check the board's free memory and its log (dmesg), then try again."
_children: list[Child] = []


class Child:
    """A child process with one model, and the conversation with it."""

    source: bytes = b""
    """The agent, as it came here."""

    def __init__(self, label: str, job: dict[str, Any]) -> None:
        self._label = label
        self._limit_s = job["step_s"]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        start = (
            f"import sys; r = sys.stdin.buffer.read; s = r({len(self.source)}); "
            "exec(compile(s, 'snapq-agent', 'exec'), "
            "{'__name__': '__main__', 'JOB': None, 'SOURCE': s})"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", start],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        _children.append(self)
        self._send(self.source)
        self._send(json.dumps(job["environment"]).encode() + b"\n")

    def ask(self, request: str, limit_s: float | None = None, **values: Any) -> dict[str, Any]:
        """Sends a request and waits for its answer, for a limited time."""
        limit = limit_s or self._limit_s
        watchdog = threading.Timer(limit, self._process.kill)
        watchdog.daemon = True
        started = time.monotonic()  # before the watchdog, whose time would else be the shorter
        watchdog.start()
        try:
            self._send(json.dumps({"request": request, **values}).encode() + b"\n")
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line.endswith(b"\n"):
            code = self._process.wait()
            if time.monotonic() - started >= limit:
                raise FailedError(
                    f"It gave no answer in {limit:g} s and was ended.", self._label, _HINT
                )
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise FailedError(f"Its process ended unexpectedly ({how}).", self._label, _HINT)
        answer: dict[str, Any] = json.loads(line)
        if answer.pop("type") == "failed":
            raise FailedError(answer["reason"], self._label, "")
        return answer

    def log(self, limit: int = MAX_LOG_BYTES) -> str:
        """The end of what the native libraries printed, up to `limit` bytes."""
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - limit))
        return self._errors.read().decode("utf-8", "replace")

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        if self in _children:
            _children.remove(self)

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # `ask` tells how it ended
            self._process.stdin.write(data)
            self._process.stdin.flush()


def die() -> None:
    """Ends this process with its children, at once."""
    for child in _children.copy():
        with contextlib.suppress(OSError):
            child._process.kill()
    os._exit(1)


def end_all() -> None:
    """Ends the children."""
    for child in _children.copy():
        child.close()
