"""Processes in which work happens that can crash, print, hang or keep memory.

A crash becomes an error that carries the process's last words, a time limit is a kill, and memory
goes back to the system. A worker is a plain `python -m snapq.workers.child`, so scripts and
notebooks need no `if __name__ == "__main__"`; it ends with its caller, whatever happens to that.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from snapq.errors import SnapqError, StorageError
from snapq.limits import TIME_VARIABLE
from snapq.runtime import TELEMETRY_OFF, processors
from snapq.scratch import Scratch
from snapq.storage import TEMPORARY, storage_errors
from snapq.workers.child import PATH_VARIABLE, SCRATCH_VARIABLE, Failure

if sys.platform == "linux":
    import resource

S = TypeVar("S")
T = TypeVar("T")

DEFAULT_TIMEOUT_S = 3600.0
"""A limit against hanging, not a budget: large models compile for minutes."""

_TAIL_BYTES = 4000
_TAIL_LINES = 4
_LEAST_FREE = 1 << 16
"""Bytes; with less left a disk counts as full, as native code writes on without a word."""
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Wording:
    """How the errors of a worker are told.

    Attributes:
        subject: what runs in it: `Qualcomm's runtime`.
        error: the class of what is raised where the worker dies or gives no answer.
        crash_hint: what to do where it crashed.
        timeout_hint: what to do where it gave no answer in time.
        explain: makes an error of an exception that is not snapq's own, from its text and from
            what the worker printed.
        where: what the work is about, for messages.
        chatter: how lines begin that a sound worker prints too, which tell nothing of its end.
    """

    subject: str
    error: type[SnapqError]
    crash_hint: str
    timeout_hint: str
    explain: Callable[[str, str], SnapqError]
    where: str | None = None
    chatter: tuple[str, ...] = ()


class Worker:
    """One process, from its start to its end; use it as a context manager.

    Args:
        wording: how its errors are told.
        scratch_parent: where the worker's own folder (its working directory) is made; the system's
            temporary folder where not given. It is removed with the worker.
    """

    def __init__(self, wording: Wording, scratch_parent: Path | None = None) -> None:
        self._wording = wording
        self._passing: Scratch | None = None
        if scratch_parent is None:
            self._passing = Scratch()
            self.scratch = self._passing.path
        else:
            with storage_errors(scratch_parent):
                scratch_parent.mkdir(parents=True, exist_ok=True)
                made = tempfile.mkdtemp(prefix=TEMPORARY, dir=scratch_parent)
                self.scratch = Path(made).absolute()
        self._printed = self.scratch / ".printed"
        self._timed_out = False
        self._processor_s: float | None = None
        self._closed = False
        try:
            with storage_errors(self.scratch), self._printed.open("ab") as capture:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "snapq.workers.child"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=capture,
                    cwd=self.scratch,
                    env=_environment(self.scratch),
                )
        except BaseException:
            self._remove_files()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def call(
        self, function: Callable[..., T], *args: Any, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> T:
        """Runs `function(*args)` in the worker; all of it must be importable and picklable.

        Raises:
            SnapqError: what the function raised; the worker died, or time is up, as the wording
                says; `StorageError` where the disk is full.
        """
        result: T = self._ask(("call", function, args), timeout_s)
        return result

    def serve(
        self,
        function: Callable[..., Callable[[Any], Any]],
        *args: Any,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        """Has the worker make and keep a handler, `function(*args)`, for `request`."""
        self._ask(("serve", function, args), timeout_s)

    def limit_processor_time(self, seconds: float) -> None:
        """Ends the worker when it has computed for so long in all; Linux only.

        `timeout_s` is a limit on the clock, which is no measure of work on a busy machine.
        """
        if sys.platform == "linux":
            most = max(1, round(seconds))
            with contextlib.suppress(OSError, ValueError):  # it has ended, or has less already
                resource.prlimit(self._process.pid, resource.RLIMIT_CPU, (most, most + 1))
                self._processor_s = most

    def request(self, item: Any, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Any:
        """What the handler says to `item`. Raises as `call` does."""
        return self._ask(("item", item), timeout_s)

    def close(self) -> None:
        """Kills the process and removes its files; may be called from any thread, and twice."""
        if self._closed:
            return
        self._closed = True
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe:
                    pipe.close()
            except OSError:  # unsent bytes of a request to a dead process
                pass
        self._remove_files()

    def _remove_files(self) -> None:
        if self._passing is not None:
            self._passing.remove()
        else:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def _ask(self, message: tuple[Any, ...], timeout_s: float) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        timer = threading.Timer(timeout_s, self._time_is_up)
        timer.daemon = True
        timer.start()
        try:
            pickle.dump(message, stdin, protocol=pickle.HIGHEST_PROTOCOL)
            stdin.flush()
            reply = pickle.load(stdout)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            raise self._death(timeout_s) from None
        finally:
            timer.cancel()
        if isinstance(reply, SnapqError):
            raise reply
        if isinstance(reply, Failure):
            error = self._wording.explain(reply.text, self.printed())
            self.require_space(error.what)
            raise error
        return reply

    def require_space(self, said: str = "") -> None:
        """Raises `StorageError` where the disk is full: what is written there is not whole."""
        if shutil.disk_usage(self.scratch).free < _LEAST_FREE:
            raise StorageError(
                f"The disk with temporary files is full. {said}".rstrip(),
                where=str(self.scratch.parent),
                hint="Free some space there, or set TMPDIR to another folder.",
            )

    def printed(self) -> str:
        """The last that native libraries printed, without colours."""
        try:
            with self._printed.open("rb") as file:
                file.seek(max(0, self._printed.stat().st_size - _TAIL_BYTES))
                data = file.read()
        except OSError:  # the worker was closed
            return ""
        return _ANSI.sub("", data.decode("utf-8", "replace"))

    def _time_is_up(self) -> None:
        self._timed_out = True
        self._process.kill()

    def _death(self, timeout_s: float) -> SnapqError:
        wording = self._wording
        if self._timed_out:
            return wording.error(
                f"{wording.subject} gave no answer in {timeout_s:g} s and was stopped.",
                where=wording.where,
                hint=wording.timeout_hint,
            )
        if self._closed:
            return wording.error("The worker was stopped.", where=wording.where)
        code = self._process.wait()
        if self._processor_s is not None and code == -signal.SIGXCPU:
            return wording.error(
                f"{wording.subject} took more than {self._processor_s:g} s of processor time and "
                "was stopped.",
                where=wording.where,
                hint=f"Where the model is sound, raise the limit: {TIME_VARIABLE}=3600",
            )
        how = f"with code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
        printed = (line.strip() for line in self.printed().splitlines())
        lines = [line for line in printed if line and not line.startswith(wording.chatter)]
        tail = " | ".join(lines[-_TAIL_LINES:])
        words = f" Its last output: {tail}" if tail else ""
        killed = hasattr(signal, "SIGKILL") and code == -signal.SIGKILL
        return wording.error(
            f"{wording.subject} ended unexpectedly ({how}).{words}",
            where=wording.where,
            hint="It was killed from outside, most likely because memory ran out; use fewer "
            "workers."
            if killed
            else wording.crash_hint,
        )


class WorkerPool:
    """Workers that several threads start and that end together, whatever happens."""

    def __init__(self, wording: Wording) -> None:
        self._wording = wording
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._closed = False

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def start(self, scratch_parent: Path | None = None) -> Worker:
        """Starts a worker. Raises as a dead worker does where the pool has been closed."""
        with self._lock:
            if self._closed:
                raise self._wording.error("The work was stopped.", where=self._wording.where)
            worker = Worker(self._wording, scratch_parent)
            self._workers.append(worker)
            return worker

    def close(self) -> None:
        """Kills all workers; none can be started afterwards."""
        with self._lock:
            self._closed = True
            for worker in self._workers:
                worker.close()


def gather(
    wording: Wording,
    work: Callable[[WorkerPool, S], T],
    items: Sequence[S],
    workers: int | None = None,
) -> list[T | SnapqError]:
    """Does `work(pool, item)` for each item in threads; each starts its workers from the pool.

    Whatever ends this early, Ctrl-C too, ends all workers at once.

    Returns:
        For each item, in order, the result or the `SnapqError` that it ended with.
    """

    def attempt(item: S) -> T | SnapqError:
        try:
            return work(pool, item)
        except SnapqError as error:
            return error

    count = max(1, min(len(items), workers or processors()))
    with ThreadPoolExecutor(count) as threads, WorkerPool(wording) as pool:
        futures = [threads.submit(attempt, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _environment(scratch: Path) -> dict[str, str]:
    """The caller's environment, with its import path, its scratch folder and telemetry off.

    The import path stands behind Python's own: what lies beside a deploy.yaml is on it, and may be
    called `json.py`.
    """
    here = str(Path(__file__).parents[2])  # also where it was found through the working directory
    own = (here, os.environ.get("PYTHONPATH", ""))
    path = dict.fromkeys(str(Path(entry).absolute()) for entry in sys.path if entry)
    return {
        **os.environ,
        **TELEMETRY_OFF,
        "PYTHONPATH": os.pathsep.join(filter(None, own)),
        PATH_VARIABLE: os.pathsep.join(path),
        SCRATCH_VARIABLE: str(scratch),
    }
