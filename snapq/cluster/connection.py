"""A connection to a Dask cluster: tasks go out, files follow by their content, results come back.

A task names files by their SHA-256. A worker that lacks some says so instead of beginning, gets
them, and the task is handed out again; so every file comes to a machine once, whoever needs it.
Where a worker ends, Dask gives its tasks to others.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from asyncio import CancelledError
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snapq.cluster import remote
from snapq.cluster.differences import check_same, stranger
from snapq.cluster.library import library
from snapq.cluster.remote import About, Done, Failed, Identity, Lacks, Stranger, Task
from snapq.cluster.store import File, Part, digest
from snapq.errors import ClusterError, SnapqError
from snapq.storage import sha256_file, storage_errors

__all__ = ["Cluster", "Ticket"]

LOG = logging.getLogger("snapq")
_CONNECT_S = 10
_FIRST_WORKER_S = 20.0
_NO_WORKER_S = 600.0
"""A batch system may take its time to start another."""
_LOOK_S = 0.5
_PARCEL = 1 << 25
"""Bytes that go to a worker at once."""
_ROUNDS = 20
"""How often a task may be handed out: once a worker that lacks files, and for those that end."""
_MOST_AT_ONCE = 256


@dataclass
class Told:
    """What is told of a cluster's work when it is over."""

    tasks: int = 0
    sent: int = 0
    lost: int = 0
    peak: int = 0


@dataclass
class _Call:
    """One task on its way."""

    number: int
    cancelled: threading.Event = field(default_factory=threading.Event)


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
        scheduler: `tcp://HOST:PORT` or `tls://HOST:PORT`.
        about: what results depend on beside their inputs; must say the same on each worker.
        say: told what the user should know.
        workers: how many must be there before work begins.

    Raises:
        InstallError: dask.distributed is missing.
        ClusterError: no scheduler answers, it has no worker, or a worker does not fit.
    """

    def __init__(
        self, scheduler: str, about: About, say: Callable[[str], None], workers: int = 1
    ) -> None:
        self._distributed = library()
        self.scheduler = scheduler
        self.told = Told()
        self._about = about
        self._wanted = dict(about())
        self._say = say
        self._session = uuid.uuid4().hex
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._listed: dict[str, Any] | None = None
        self._listed_at = 0.0
        self._closed = False
        self._count = 0
        self._sources: dict[str, Path | bytes] = {}
        self._hashed: dict[tuple[str, int, int], File] = {}
        self._known: dict[str, Identity] = {}
        self._seen: dict[str, str] = {}
        self._calls: dict[int, _Call] = {}
        self._sending: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)
        self._client = self._connected()
        try:
            self._wait_for(workers)
            self._greet()
        except BaseException:
            self._client.close(timeout=2)
            raise
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
        workers = self._workers().values()
        return max(1, sum(int(worker["nthreads"]) for worker in workers))

    def file(self, path: Path) -> File:
        """Names a file of this machine by its content, for tasks. Raises `StorageError`."""
        with storage_errors(path):
            status = path.stat()
            key = (str(path.absolute()), status.st_size, status.st_mtime_ns)
            if key not in self._hashed:
                self._hashed[key] = File(sha256_file(path), status.st_size)
        found = self._hashed[key]
        with self._lock:
            self._sources[found.sha256] = path.absolute()
        return found

    def data(self, content: bytes) -> File:
        """Names bytes by their content; `forget` lets go of them."""
        found = digest(content)
        with self._lock:
            self._sources.setdefault(found.sha256, content)
        return found

    def forget(self, files: Sequence[File]) -> None:
        """Lets go of bytes that no task needs any more; the workers may still have them."""
        with self._lock:
            for file in files:
                if isinstance(self._sources.get(file.sha256), bytes):
                    del self._sources[file.sha256]

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
        """
        with self._lock:
            if self._closed:
                raise ClusterError("The connection to the cluster was closed.")
            self._count += 1
            call = _Call(self._count)
            self._calls[call.number] = call
        task = Task(
            self._session, call.number, function, args, tuple(files), self._about, self._wanted
        )
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
            calls = list(self._calls.values())
        for call in calls:
            call.cancelled.set()
        self._drivers.shutdown(wait=False, cancel_futures=True)
        with suppress(Exception):
            self._client.run(remote.stop, self._session, None, on_error="ignore")
        self._drivers.shutdown(wait=True)
        if self.told.tasks:
            self._listed_at = 0.0
            self._look()
            self._say(self._summary())
        with suppress(Exception):
            self._client.close(timeout=5)

    def _summary(self) -> str:
        told = self.told
        lost = f", {_count(told.lost, 'worker')} gone on the way" if told.lost else ""
        return (
            f"Cluster: {_count(told.tasks, 'task')}, {told.sent / 1e6:,.1f} MB sent, at most "
            f"{told.peak / 1e9:.1f} GB of memory a worker{lost}."
        )

    def _connected(self) -> Any:
        try:
            host, _, port = self.scheduler.partition("://")[2].rpartition(":")
            # Dask goes on trying for all of its time where nobody listens.
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
            return self._distributed.Client(
                self.scheduler, timeout=_CONNECT_S, set_as_default=False, name="snapq"
            )
        except Exception as error:  # what another program there says is no error of Dask's
            text = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ClusterError(
                f"No Dask scheduler can be reached: {text.splitlines()[0].rstrip('.')}.",
                where=self.scheduler,
                hint="Start one with `dask scheduler` and workers with `dask worker`, or use "
                "--cluster local:4.",
            ) from error

    def _workers(self) -> dict[str, Any]:
        """What the scheduler says of each worker, by address; a little old at times."""
        with self._asking:
            now = time.monotonic()
            if self._listed is None or now - self._listed_at > _LOOK_S / 2:
                with suppress(
                    Exception
                ):  # who waits for an answer hears that the scheduler is gone
                    self._listed = self._client.scheduler_info(n_workers=-1)["workers"]
                self._listed_at = now
            return self._listed or {}

    def _wait_for(self, workers: int) -> None:
        deadline = time.monotonic() + _FIRST_WORKER_S
        with suppress(Exception):
            self._client.wait_for_workers(workers, timeout=_FIRST_WORKER_S)
        while not self._workers() and time.monotonic() < deadline:
            time.sleep(0.1)
        if not self._workers():
            raise ClusterError(
                "The Dask scheduler has no worker.",
                where=self.scheduler,
                hint=f"Start one where snapq is installed: dask worker {self.scheduler}",
            )

    def _greet(self) -> None:
        """Refuses workers that would not compute the same, and tells of the others."""
        for address, found in self._ask(remote.identity, self._about, None).items():
            self._known[address] = check_same(self._wanted, found, address)
        workers = self._workers()
        hosts = {one.host for one in self._known.values()}
        least = min((one.memory or 0 for one in self._known.values()), default=0)
        store = min((one.store_bytes for one in self._known.values()), default=0)
        threads = sum(int(one["nthreads"]) for one in workers.values())
        bound = f"at most {least / 1e9:.1f} GB" if least else "no bound (--memory-limit 0)"
        self._say(
            f"Cluster: {_count(len(self._known), 'worker')} on {_count(len(hosts), 'host')}, "
            f"{_count(threads, 'task')} at once, {bound} of memory a worker and "
            f"{store / 1e9:.3g} GB of files a host."
        )
        self._look()
        own = remote.processor_features()
        if any(one.processor != own for one in self._known.values()):
            self._say(
                "Cluster: processors of the workers are of another kind than this one; what is "
                "computed in float on them may differ in the last digits."
            )

    def _ask(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        """What a function says on some workers (the last argument: None for all), by address."""
        *given, only = args
        try:
            found: dict[str, Any] = self._client.run(
                function, *given, workers=only, on_error="return"
            )
        except Exception as error:
            raise ClusterError(
                f"The workers do not answer: {type(error).__name__}.", where=self.scheduler
            ) from error
        return found

    def _drive(self, call: _Call, task: Task, back: Back | None) -> Any:
        """Hands a task out until a worker has done it."""
        only: list[str] | None = None
        try:
            for attempt in range(_ROUNDS):
                answer = self._answer(call, task, attempt, only)
                self._look()
                only = None
                if isinstance(answer, Failed):
                    self.told.peak = max(self.told.peak, answer.peak)
                    raise answer.error
                if isinstance(answer, Stranger):
                    raise stranger(self._wanted, answer.about, answer.worker)
                if isinstance(answer, Lacks):
                    only = [answer.worker] if self._provide(answer) else None
                elif isinstance(answer, Done) and self._fetched(answer, back):
                    with self._lock:
                        self.told.tasks += 1
                        self.told.peak = max(self.told.peak, answer.peak)
                    return answer.value
            raise ClusterError(
                f"A task was handed out {_ROUNDS} times and never done.",
                where=self.scheduler,
                hint="See the log of the Dask workers.",
            )
        finally:
            with self._lock:
                self._calls.pop(task.number, None)

    def _answer(self, call: _Call, task: Task, attempt: int, only: list[str] | None) -> Any:
        """What Dask gives back for a task; None where it is to be handed out again."""
        if call.cancelled.is_set() or self._closed:
            raise ClusterError("The task was cancelled.")
        future = self._client.submit(
            remote.do,
            task,
            key=f"snapq-{self._session}-{task.number}-{attempt}",
            workers=only,
            allow_other_workers=only is not None,
            pure=False,
        )
        try:
            self._wait(call, task, future)
            return future.result()
        except SnapqError:
            raise
        except self._distributed.scheduler.KilledWorker:
            raise ClusterError(
                "A task ended every worker that it was given to.",
                where=self.scheduler,
                hint="Most likely it needs more memory than --memory-limit gives them; their log "
                "says more.",
            ) from None
        except Exception as error:
            if not self._is_reachable():
                raise self._lost() from error
            raise ClusterError(
                f"A worker cannot do the task: {type(error).__name__}: {error}",
                where=self.scheduler,
                hint="See the log of the Dask workers.",
            ) from error
        except CancelledError as reason:  # the connection broke for a moment
            LOG.debug("Dask took a task back: %s", reason)
            if not self._is_reachable():
                raise self._lost() from None
            return None
        finally:
            future.release()

    def _wait(self, call: _Call, task: Task, future: Any) -> None:
        """Waits until Dask is done with a task, one way or other."""
        done, alone_since = threading.Event(), time.monotonic()
        future.add_done_callback(lambda _: done.set())
        while not done.wait(_LOOK_S):
            if call.cancelled.is_set():
                self._stop(future, task)
                raise ClusterError("The task was cancelled.")
            if self._look():
                alone_since = time.monotonic()
            elif not self._is_reachable():
                raise self._lost()
            elif time.monotonic() - alone_since > _NO_WORKER_S:
                raise ClusterError("The cluster has no worker any more.", where=self.scheduler)

    def _is_reachable(self) -> bool:
        """Whether the scheduler answers; Dask connects again by itself where that helps."""
        deadline = time.monotonic() + _CONNECT_S
        while time.monotonic() < deadline and not self._closed:
            if self._client.status == "running":
                return True
            time.sleep(0.2)
        return False

    def _lost(self) -> ClusterError:
        return ClusterError(
            "The connection to the Dask scheduler is lost.",
            where=self.scheduler,
            hint="What is done is kept; start the scheduler again and repeat the command.",
        )

    def _stop(self, future: Any, task: Task) -> None:
        with suppress(Exception):
            self._client.cancel([future], force=True)
            self._client.run(remote.stop, self._session, [task.number], on_error="ignore")

    def _look(self) -> bool:
        """Tells of workers that are gone; returns whether one is left."""
        workers = self._workers()
        with self._lock:
            gone = {name: self._seen.pop(name) for name in [*self._seen] if name not in workers}
            self._seen.update({name: str(worker["host"]) for name, worker in workers.items()})
            self.told.lost += len(gone)
            for address in gone:
                self._known.pop(address, None)
        for address, host in gone.items():
            self._say(f"Cluster: the worker {address} on {host} is gone; others do its tasks.")
        return bool(workers)

    def _provide(self, answer: Lacks) -> bool:
        """Sends a worker what it lacks; whether it is still there."""
        found = self._known.get(answer.worker)
        if found is None:
            (said,) = self._ask(remote.identity, self._about, [answer.worker]).values() or (None,)
            if isinstance(said, OSError) or said is None:
                return False
            found = check_same(self._wanted, said, answer.worker)
            with self._lock:
                self._known[answer.worker] = found
        with self._lock:
            one_at_a_time = self._sending[found.host, found.store]
        with one_at_a_time, suppress(_GoneError):
            missing = self._on(answer.worker, remote.lacks, answer.files)
            self._send(answer.worker, missing)
            return True
        return False

    def _send(self, worker: str, files: Sequence[File]) -> None:
        token = uuid.uuid4().hex
        parcel: list[Part] = []
        size = 0
        for file in files:
            for part in self._parts(file):
                parcel.append(part)
                size += len(part.data)
                if size >= _PARCEL:
                    self._deliver(worker, token, parcel)
                    parcel, size = [], 0
        if parcel:
            self._deliver(worker, token, parcel)

    def _deliver(self, worker: str, token: str, parcel: Sequence[Part]) -> None:
        error = self._on(worker, remote.receive, token, tuple(parcel))
        if isinstance(error, SnapqError):
            raise error
        with self._lock:
            self.told.sent += sum(len(part.data) for part in parcel)

    def _parts(self, file: File) -> Any:
        with self._lock:
            source = self._sources.get(file.sha256)
        if source is None:
            raise ClusterError("A file of a task is not at hand any more.", where=file.sha256[:12])
        if isinstance(source, bytes):
            yield Part(file, 0, source)
            return
        with storage_errors(source), source.open("rb") as opened:
            offset = 0
            while data := opened.read(_PARCEL):
                yield Part(file, offset, data)
                offset += len(data)
            if file.size == 0:
                yield Part(file, 0, b"")

    def _on(self, worker: str, function: Callable[..., Any], *args: Any) -> Any:
        """What a function says on one worker. Raises `_GoneError` where that ended."""
        try:
            return self._client.run(function, *args, workers=[worker])[worker]
        except Exception as error:
            raise _GoneError from error

    def _fetched(self, done: Done, back: Back | None) -> bool:
        """Brings the files of a task here; whether its worker was there to the end."""
        if back is None:
            return True
        wanted = {name: file for name, file in done.files.items() if back.lacking(name)}
        with suppress(_GoneError), back.place() as place:
            for name, file in wanted.items():
                self._fetch(done.worker, file, place / name)
            return True
        return False

    def _fetch(self, worker: str, file: File, place: Path) -> None:
        with storage_errors(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as opened:
                while opened.tell() < file.size:
                    data = self._on(worker, remote.send, file, opened.tell(), _PARCEL)
                    if isinstance(data, SnapqError) or not data:
                        raise _GoneError  # removed for others: the task is done again
                    opened.write(data)
        if sha256_file(place) != file.sha256:
            raise ClusterError("A file came back damaged.", where=str(place), hint="Try again.")


class _GoneError(Exception):
    """A worker ended, or its files are not there any more."""


def _count(number: int, name: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"
