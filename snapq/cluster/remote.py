"""What runs inside of a Dask worker: tasks, each in a process of its own, and the store of files.

The worker's own process only hands on: models are compiled and simulated in children of it, which
can crash, are counted as its memory, and are killed when the task is cancelled.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from snapq.cluster import memory
from snapq.cluster.bench import Benches
from snapq.cluster.store import File, Part, Store, limit_bytes
from snapq.errors import SnapqError
from snapq.runtime import PROCESSORS_VARIABLE

__all__ = [
    "Done",
    "Failed",
    "Identity",
    "Lacks",
    "Stranger",
    "Task",
    "do",
    "identity",
    "lacks",
    "processor_features",
    "receive",
    "send",
    "stop",
]

_OLD_S = 3 * 24 * 3600.0

About = Callable[[], Mapping[str, str]]


@dataclass(frozen=True)
class Task:
    """One piece of work; what it holds is small, as files are named by their content.

    Attributes:
        session: of the client.
        number: of the task within it.
        function: takes a `Bench` and `args`; importable on both sides.
        args: its arguments.
        files: what it needs to have in the store.
        about: says what results depend on here.
        wanted: what that has to say.
    """

    session: str
    number: int
    function: Callable[..., Any]
    args: tuple[Any, ...]
    files: tuple[File, ...]
    about: About
    wanted: Mapping[str, str]


@dataclass(frozen=True)
class Done:
    """A task that came to its end.

    Attributes:
        value: what the function returned.
        files: what it left in the store, by name.
        worker: where.
        peak: bytes of memory that the worker and its children took at most so far.
    """

    value: Any
    files: Mapping[str, File]
    worker: str
    peak: int


@dataclass(frozen=True)
class Lacks:
    """The task was not begun: its worker lacks files."""

    worker: str
    files: tuple[File, ...]


@dataclass(frozen=True)
class Stranger:
    """The task was not begun: what results depend on differs on its worker."""

    worker: str
    about: Mapping[str, str]


@dataclass(frozen=True)
class Failed:
    """The task ended with an error, which would be the same anywhere."""

    error: SnapqError
    peak: int


@dataclass(frozen=True)
class Identity:
    """What a worker says of itself.

    Attributes:
        about: what results depend on.
        host: name of its machine.
        store: folder of files; workers with the same one on one host share it.
        store_bytes: what that may hold.
        memory: bytes that the worker and its children may take; None where nothing bounds them.
        processor: features of the processor that change how floats are rounded.
    """

    about: Mapping[str, str]
    host: str
    store: str
    store_bytes: int
    memory: int | None
    processor: str = ""


@dataclass
class _Here:
    """What one worker process has."""

    store: Store
    benches: Benches


_lock = threading.Lock()


def identity(about: About, dask_worker: Any = None) -> Identity:
    """What this worker is."""
    here = _here(dask_worker)
    return Identity(
        about=dict(about()),
        host=socket.gethostname(),
        store=str(here.store.folder),
        store_bytes=here.store.limit,
        memory=memory.limit(dask_worker),
        processor=processor_features(),
    )


@cache
def processor_features() -> str:
    """The widest vector instructions, by which libraries choose how they add floats up."""
    with suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        flags = set(next((x for x in text.splitlines() if x.startswith("flags")), "").split())
        return " ".join(name for name in ("avx2", "avx512f", "avx512_vnni") if name in flags)
    return ""


def do(task: Task) -> Done | Lacks | Stranger | Failed:
    """Does a task, where its files are here."""
    from distributed import get_worker

    dask_worker = get_worker()
    here, worker = _here(dask_worker), str(dask_worker.address)
    about = dict(task.about())
    if about != dict(task.wanted):
        return Stranger(worker, about)
    missing = here.store.lacks(task.files)
    if missing:
        return Lacks(worker, missing)
    memory.watch(dask_worker)
    begun = time.monotonic()
    with here.benches.bench(task.session, task.number, here.store) as bench:
        try:
            value = task.function(bench, *task.args)
        except SnapqError as error:
            return Failed(memory.explained(error, begun), memory.peak())
        return Done(value, dict(bench.kept), worker, memory.peak())


def lacks(files: Sequence[File], dask_worker: Any = None) -> tuple[File, ...]:
    """Which of these files are not here."""
    return _here(dask_worker).store.lacks(files)


def receive(token: str, parts: Sequence[Part], dask_worker: Any = None) -> SnapqError | None:
    """Takes parts of files."""
    try:
        for part in parts:
            _here(dask_worker).store.put(token, part)
    except SnapqError as error:
        return error
    return None


def send(file: File, offset: int, count: int, dask_worker: Any = None) -> bytes | SnapqError:
    """Bytes of a file that is here."""
    try:
        return _here(dask_worker).store.read(file, offset, count)
    except SnapqError as error:
        return error


def stop(session: str, numbers: Sequence[int] | None, dask_worker: Any = None) -> None:
    """Ends tasks of a client at once, all of them where no numbers are given."""
    threading.Thread(
        target=partial(_here(dask_worker).benches.stop, session, numbers),
        daemon=True,
        name="snapq-stop",
    ).start()


_made: list[_Here] = []


def _here(worker: Any) -> _Here:
    """What this process has; made at its first use.

    The folder of files lies beside those of Dask, and outlives a restart of the worker.
    """
    with _lock:
        if not _made:
            # A worker has as many tasks at once as Dask says, and each of them one processor.
            os.environ[PROCESSORS_VARIABLE] = "1"
            folder = Path(worker.local_directory).parent / f"snapq-files-{os.getuid()}"
            clients = folder.with_name(f"snapq-clients-{os.getuid()}")
            _remove_old(clients)
            _made.append(_Here(Store(folder, limit_bytes(folder)), Benches(clients)))
        return _made[0]


def _remove_old(clients: Path) -> None:
    """Removes what clients left that vanished days ago."""
    for folder in clients.glob("*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _OLD_S:
                shutil.rmtree(folder, ignore_errors=True)
