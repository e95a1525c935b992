"""Processes in which every call of Qualcomm's runtime happens.

The runtime is native code that can crash, print, hang or keep memory, and its compiler writes the
same bytes only the first time in a process. So each piece of work gets a process of its own: a
crash becomes a `QnnError` that carries the last words of the library, a time limit is a kill, and
memory goes back to the system. A worker is a plain `python -m snapq.npu.qnn.worker`, so scripts and
notebooks need no `if __name__ == "__main__"`.
"""

from __future__ import annotations

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
from types import TracebackType
from typing import Any, TypeVar

from snapq.errors import QnnError, SnapqError, UnansweredError
from snapq.npu.qnn.catalogue import explain
from snapq.npu.qnn.worker import SCRATCH_VARIABLE, Failure
from snapq.runtime import TELEMETRY_OFF, processors
from snapq.storage import TEMPORARY, storage_errors

S = TypeVar("S")
T = TypeVar("T")

DEFAULT_TIMEOUT_S = 3600.0
"""A limit against hanging, not a budget: large models compile for minutes."""

_TAIL_BYTES = 4000
_LEAST_FREE = 1 << 16
_TAIL_LINES = 4
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def default_workers() -> int:
    """How many workers run at once where the caller does not say: the processors allowed to us."""
    return processors()


class Worker:
    """One process, from its start to its end; use it as a context manager.

    Args:
        scratch_parent: where the worker's own folder (its working directory) is made; the system's
            temporary folder where not given. It is removed with the worker.
    """

    def __init__(self, scratch_parent: Path | None = None) -> None:
        prefix = TEMPORARY if scratch_parent else "snapq-"
        parent = scratch_parent or Path(tempfile.gettempdir())
        with storage_errors(parent):
            parent.mkdir(parents=True, exist_ok=True)
            self.scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=parent)).absolute()
        self._printed = self.scratch / ".printed"
        self._timed_out = False
        self._closed = False
        try:
            with self._printed.open("ab") as capture:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "snapq.npu.qnn.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=capture,
                    cwd=self.scratch,
                    env=_environment(self.scratch),
                )
        except BaseException:
            shutil.rmtree(self.scratch, ignore_errors=True)
            raise

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def call(
        self, function: Callable[..., T], *args: Any, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> T:
        """Runs `function(*args)` in the worker; all of it must be importable and picklable.

        Raises:
            QnnError: the function failed, the worker died, or time is up.
            SnapqError: what the function raised.
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
            error = explain(reply.text, log=self.printed())
            self.require_space(error.what)
            raise error
        return reply

    def require_space(self, said: str = "") -> None:
        """Raises `UnansweredError` where the disk is full: what is written there is not whole."""
        if shutil.disk_usage(self.scratch).free < _LEAST_FREE:
            raise UnansweredError(
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

    def _death(self, timeout_s: float) -> UnansweredError:
        if self._timed_out:
            return UnansweredError(
                f"Qualcomm's runtime did not finish within {timeout_s:g} s and was stopped.",
                hint="Give it more time, or a smaller model.",
            )
        if self._closed:
            return UnansweredError("The worker was stopped.")
        code = self._process.wait()
        if code == 0:
            how = "ended"
        elif code < 0:
            how = f"crashed ({signal.Signals(-code).name})"
        else:
            how = f"ended with code {code}"
        lines = [line.strip() for line in self.printed().splitlines() if line.strip()]
        tail = " | ".join(lines[-_TAIL_LINES:])
        words = f" Its last output: {tail}" if tail else ""
        memory = code == -signal.SIGKILL if hasattr(signal, "SIGKILL") else False
        return UnansweredError(
            f"Qualcomm's runtime {how}.{words}",
            hint="It was killed from outside, most likely because memory ran out; use fewer "
            "workers."
            if memory
            else "`snapq doctor` checks the installation; if it is well, the model sets off a "
            "fault of the library: leave nodes out to find which.",
        )


class Crew:
    """Workers that several threads start and that end together, whatever happens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._closed = False

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self, scratch_parent: Path | None = None) -> Worker:
        """Starts a worker. Raises `QnnError` where the crew has been closed."""
        with self._lock:
            if self._closed:
                raise QnnError("The work was stopped.")
            worker = Worker(scratch_parent)
            self._workers.append(worker)
            return worker

    def close(self) -> None:
        """Kills all workers; none can be started afterwards."""
        with self._lock:
            self._closed = True
            for worker in self._workers:
                worker.close()


@dataclass(frozen=True)
class Task:
    """One call for a worker of its own."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    timeout_s: float = DEFAULT_TIMEOUT_S


def call(
    function: Callable[..., T],
    *args: Any,
    scratch_parent: Path | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> T:
    """Runs `function(*args)` in a process of its own. Raises as `Worker.call` does."""
    with Worker(scratch_parent) as worker:
        return worker.call(function, *args, timeout_s=timeout_s)


def call_all(tasks: Sequence[Task], workers: int | None = None) -> list[Any]:
    """Runs each task in a process of its own, several at once.

    Returns:
        For each task, in order, its result or the `SnapqError` that it ended with.
    """

    def run(crew: Crew, task: Task) -> Any:
        with crew.start() as worker:
            return worker.call(task.function, *task.args, timeout_s=task.timeout_s)

    return gather(run, tasks, workers)


def gather(
    work: Callable[[Crew, S], T], items: Sequence[S], workers: int | None = None
) -> list[T | SnapqError]:
    """Does `work(crew, item)` for each item in threads; each starts its workers from the crew.

    Whatever ends this early, Ctrl-C too, ends all workers at once.

    Returns:
        For each item, in order, the result or the `SnapqError` that it ended with.
    """

    def attempt(item: S) -> T | SnapqError:
        try:
            return work(crew, item)
        except SnapqError as error:
            return error

    count = max(1, min(len(items), workers or default_workers()))
    with ThreadPoolExecutor(count) as pool, Crew() as crew:
        futures = [pool.submit(attempt, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _environment(scratch: Path) -> dict[str, str]:
    """The caller's environment, with its import path, its scratch folder and telemetry off."""
    here = Path(__file__).parents[3]  # also where it was found through the working directory
    entries = [here, *(Path(entry).absolute() for entry in sys.path if entry)]
    path = os.pathsep.join(dict.fromkeys(map(str, entries)))
    return {**os.environ, **TELEMETRY_OFF, "PYTHONPATH": path, SCRATCH_VARIABLE: str(scratch)}
