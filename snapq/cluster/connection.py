"""A connection to a Dask cluster: tasks go out, files follow by their content, results come back.

A task names files by their SHA-256. A worker that lacks some says so instead of beginning, gets
them, and the task is handed out again; so every file comes to a machine once, whoever needs it.
Where a worker ends, Dask gives its tasks to others.
"""

from __future__ import annotations

import concurrent.futures
import logging
import os
import threading
import time
import uuid
from asyncio import CancelledError
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snapq.cluster import remote
from snapq.cluster.differences import stranger
from snapq.cluster.remote import About, Done, Failed, Lacks, Stranger, Task
from snapq.cluster.roster import Roster, counted
from snapq.cluster.scheduler import GoneError, Scheduler
from snapq.cluster.sending import Sending
from snapq.cluster.store import File
from snapq.errors import ClusterError, SnapqError

__all__ = ["Back", "Cluster", "Ticket"]

LOG = logging.getLogger("snapq")
_NO_WORKER_S = 600.0
"""A batch system may take its time to start another."""
_LOOK_S = 0.5
_ROUNDS = 20
"""How often a task may be handed out: once a worker that lacks files, and for those that end."""
_MOST_AT_ONCE = 256
_TAKEN_BACK = ("cancelled", "lost")


@dataclass
class _Call:
    """One task on its way."""

    number: int
    cancelled: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raises `ClusterError` where it was taken back."""
        if self.cancelled.is_set():
            raise ClusterError("The task was cancelled.")


@dataclass(frozen=True)
class Back:
    """Which files come back of a task, and where they go.

    Attributes:
        place: opens the folder that they are written to, and closes it when all are there; it is
            left by an exception where they are not.
        lacking: whether a file is wanted, by its name.
    """

    place: Callable[[], AbstractContextManager[Path]]
    lacking: Callable[[str], bool] = lambda _name: True


@dataclass(frozen=True)
class Ticket:
    """A task that was handed in.

    Attributes:
        future: of what the function returns.
        cancel: takes the task back, and ends it where it runs.
    """

    future: Future[Any]
    cancel: Callable[[], None]

    def result(self) -> Any:
        """What the function returned. Raises `SnapqError`: what it raised, or the cluster broke."""
        return self.future.result()


class Cluster:
    """A connection; use it as a context manager.

    Args:
        address: `tcp://HOST:PORT` or `tls://HOST:PORT` of the scheduler.
        about: what results depend on beside their inputs; must say the same on each worker.
        say: told what the user should know.
        workers: how many should be there before work begins.

    Raises:
        InstallError: dask.distributed is missing.
        ClusterError: no scheduler answers, it has no worker, or a worker does not fit.
    """

    def __init__(
        self, address: str, about: About, say: Callable[[str], None], workers: int = 1
    ) -> None:
        self._about = about
        self._say = say
        self._session = uuid.uuid4().hex
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._closed = False
        self._count = self._done = self._peak = 0
        self._calls: dict[int, _Call] = {}
        self._scheduler = Scheduler(address)
        self._roster = Roster(self._scheduler, about, say)
        self._sending = Sending(self._scheduler, self._roster)
        try:
            self._scheduler.wait_for(workers)
            self._roster.greet()
        except BaseException:
            self._scheduler.close()
            raise
        self.file = self._sending.file
        self.data = self._sending.data
        self.forget = self._sending.forget
        count = min(_MOST_AT_ONCE, 2 * self.slots + 2)
        self._drivers = ThreadPoolExecutor(count, thread_name_prefix="snapq-cluster")

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def usable(self) -> bool:
        """Whether it can be used in this process: not in a copy of it, nor once it is closed."""
        return not self._closed and os.getpid() == self._pid

    @property
    def slots(self) -> int:
        """Tasks that run at once."""
        return self._roster.slots

    @property
    def sent(self) -> int:
        """Bytes of files that were sent so far."""
        return self._sending.sent

    def submit(
        self,
        function: Callable[..., Any],
        *args: Any,
        files: Sequence[File] = (),
        back: Back | None = None,
    ) -> Ticket:
        """Hands in a task; there is no end to how many.

        Args:
            function: takes a `Bench` and `args`; a function of a module of snapq, to be imported
                by its name.
            args: picklable and small.
            files: what the task needs, as `file` or `data` named it.
            back: where the files go that the task keeps; they stay away where not given.

        Raises:
            ClusterError: the connection was closed.
        """
        with self._lock:
            if self._closed:
                raise ClusterError("The connection to the cluster was closed.")
            self._count += 1
            call = _Call(self._count)
            self._calls[call.number] = call
        wanted = self._roster.wanted
        task = Task(self._session, call.number, function, args, tuple(files), self._about, wanted)
        future = self._drivers.submit(self._drive, call, task, back)

        def cancel() -> None:
            future.cancel()
            call.cancelled.set()

        return Ticket(future, cancel)

    def run(
        self,
        function: Callable[..., Any],
        *args: Any,
        files: Sequence[File] = (),
        folder: Path | None = None,
    ) -> Any:
        """Hands in a task as `submit` and waits for it; what it keeps goes to `folder`."""
        back = None if folder is None else Back(lambda: nullcontext(folder))
        ticket = self.submit(function, *args, files=files, back=back)
        try:
            return ticket.result()
        except BaseException:
            ticket.cancel()
            raise

    def cancel_all(self) -> None:
        """Takes back every task that was handed in so far."""
        with self._lock:
            for call in self._calls.values():
                call.cancelled.set()

    def close(self) -> None:
        """Takes back what is outstanding, ends what runs of it, and lets go of the cluster."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.cancel_all()
        self._drivers.shutdown(wait=False, cancel_futures=True)
        with suppress(ClusterError):
            self._scheduler.ask(remote.stop, self._session, None)
        self._drivers.shutdown(wait=True)
        if self._done:
            self._roster.look(now=True)
            self._say(self._summary())
        self._scheduler.close()

    def _summary(self) -> str:
        gone = self._roster.lost
        lost = f", {counted(gone, 'worker')} gone on the way" if gone else ""
        return (
            f"Cluster: {counted(self._done, 'task')}, {self.sent / 1e6:,.1f} MB sent, at most "
            f"{self._peak / 1e9:.1f} GB of memory a worker{lost}."
        )

    def _drive(self, call: _Call, task: Task, back: Back | None) -> Any:
        """Hands a task out until a worker has done it."""
        only: list[str] | None = None
        try:
            for attempt in range(_ROUNDS):
                answer = self._answer(call, task, attempt, only)
                self._roster.look()
                only = None
                with suppress(GoneError):
                    if isinstance(answer, Lacks):
                        self._sending.provide(answer)
                        only = [answer.worker]
                    elif isinstance(answer, Done):
                        self._bring(answer, back)
                        return answer.value
            raise ClusterError(
                f"A task was handed out {_ROUNDS} times and never done.",
                where=self._scheduler.address,
                hint="See the log of the Dask workers.",
            )
        finally:
            with self._lock:
                self._calls.pop(task.number, None)

    def _answer(self, call: _Call, task: Task, attempt: int, only: list[str] | None) -> Any:
        """What a worker says to a task; None where it is to be handed out again."""
        call.check()
        future = self._scheduler.client.submit(
            remote.do,
            task,
            key=f"snapq-{self._session}-{task.number}-{attempt}",
            workers=only,
            allow_other_workers=only is not None,
            pure=False,
        )
        try:
            self._wait(call, task, future)
            answer = None if future.status in _TAKEN_BACK else future.result()
        except SnapqError:
            raise
        except self._scheduler.killed_worker:
            raise ClusterError(
                "A task ended every worker that it was given to.",
                where=self._scheduler.address,
                hint="Most likely it needs more memory than --memory-limit gives them; their log "
                "says more.",
            ) from None
        except (CancelledError, concurrent.futures.CancelledError):
            answer = None
        except Exception as error:
            if not self._scheduler.answers():
                raise self._scheduler.lost() from error
            raise ClusterError(
                f"A worker cannot do the task: {type(error).__name__}: {error}",
                where=self._scheduler.address,
                hint="See the log of the Dask workers.",
            ) from error
        finally:
            future.release()
        if answer is None:  # the connection broke for a moment
            LOG.debug("Dask took the task %s back", task.number)
            if not self._scheduler.answers():
                raise self._scheduler.lost()
        if isinstance(answer, Failed):
            self._peak = max(self._peak, answer.peak)
            raise answer.error
        if isinstance(answer, Stranger):
            raise stranger(self._roster.wanted, answer.about, answer.worker)
        return answer

    def _wait(self, call: _Call, task: Task, future: Any) -> None:
        """Waits until Dask is done with a task, one way or other."""
        done, alone_since = threading.Event(), time.monotonic()
        future.add_done_callback(lambda _: done.set())
        while not done.wait(_LOOK_S):
            if call.cancelled.is_set():
                self._stop(future, task)
                call.check()
            if self._roster.look():
                alone_since = time.monotonic()
            elif not self._scheduler.answers():
                raise self._scheduler.lost()
            elif time.monotonic() - alone_since > _NO_WORKER_S:
                where = self._scheduler.address
                raise ClusterError("The cluster has no worker any more.", where=where)

    def _stop(self, future: Any, task: Task) -> None:
        with suppress(Exception):
            self._scheduler.client.cancel([future], force=True)
            self._scheduler.ask(remote.stop, self._session, [task.number])

    def _bring(self, done: Done, back: Back | None) -> None:
        """Brings the files of a task here. Raises `GoneError` where its worker ended before."""
        if back is not None:
            wanted = {name: file for name, file in done.files.items() if back.lacking(name)}
            with back.place() as place:
                for name, file in wanted.items():
                    self._sending.fetch(done.worker, file, place / name)
        with self._lock:
            self._done += 1
            self._peak = max(self._peak, done.peak)
