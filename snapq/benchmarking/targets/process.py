"""A child process that holds one model: the host's side (`worker` is the child's).

The child has no way to outlive the host: its standard input is a pipe from here, and it ends at
once when that closes, whether by `close`, Ctrl-C or a kill of the host.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from snapq.errors import DeviceError, SnapqError
from snapq.runtime import TELEMETRY_OFF
from snapq.storage import storage_errors

_TAIL = 500
"""Characters of the child's standard error that an error message shows."""


class Worker:
    """One child process and the conversation with it: one request, one answer.

    Args:
        label: what the child holds, for error messages.
        timeout_s: how long an answer may take before the child counts as hung.
    """

    def __init__(self, label: str, timeout_s: float) -> None:
        self._label = label
        self.timeout_s = timeout_s
        with storage_errors(Path("the temporary folder")):
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "snapq.benchmarking.targets.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **TELEMETRY_OFF, "PYTHONPATH": _import_path()},
            start_new_session=True,  # Ctrl-C is the host's to handle
        )

    def ask(self, request: str, *arguments: Any, timeout_s: float | None = None) -> Any:
        """Sends a request and returns its answer.

        Raises:
            SnapqError: what the child raised.
            DeviceError: the child ended, or did not answer in time.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        limit = self.timeout_s if timeout_s is None else timeout_s
        hung = threading.Event()

        def give_up() -> None:
            hung.set()
            self._process.kill()

        watchdog = threading.Timer(limit, give_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            pickle.dump((request, arguments), self._process.stdin)
            self._process.stdin.flush()
            answer = pickle.load(self._process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise self._ended(limit if hung.is_set() else None) from error
        finally:
            watchdog.cancel()
        if isinstance(answer, SnapqError):
            raise answer
        return answer

    def close(self) -> None:
        """Ends the child."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(OSError):  # unsent bytes for a child that is gone
                    stream.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ended(self, limit: float | None) -> DeviceError:
        code = self._process.wait()
        if limit is not None:
            return DeviceError(
                f"The process that runs this model gave no answer in {limit:g} s and was ended.",
                where=self._label,
                hint="Try again when the machine is less busy, or with a smaller model.",
            )
        how = f"exit code {code}"
        if code < 0:
            with contextlib.suppress(ValueError):
                how = f"by {signal.Signals(-code).name}"
        tail = self._tail()
        return DeviceError(
            f"The process that runs this model ended unexpectedly ({how})"
            + (f", saying: {tail}" if tail else "."),
            where=self._label,
            hint="Check the free memory, and that `snapq doctor` finds no fault.",
        )

    def _tail(self) -> str:
        self._errors.seek(0)
        text = self._errors.read().decode("utf-8", "replace").strip()
        return " ".join(text[-_TAIL:].split())


def _import_path() -> str:
    """Where this process finds modules, so that the child runs the same snapq."""
    return os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path if entry)
