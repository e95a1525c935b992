"""What a task works with on its worker: processes of its own, files by content, kept processes."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from snapq.cluster.store import File, Store
from snapq.errors import ClusterError
from snapq.storage import storage_errors

__all__ = ["Bench", "Benches", "Closeable"]

_IDLE_S = 60.0
_MOST_IDLE = 4


class Closeable(Protocol):
    """Something that ends at once when it is closed, from any thread, and twice."""

    def close(self) -> None:
        """Ends it."""


C = TypeVar("C", bound=Closeable)


class Bench:
    """Handed to the function of a task.

    Args:
        benches: those of the whole worker.
        session: of the client.
        store: the worker's files.
    """

    def __init__(self, benches: Benches, session: str, store: Store) -> None:
        self._benches = benches
        self._session = session
        self._store = store
        self._open: list[Closeable] = []
        self._scratch: Path | None = None
        self._lock = threading.Lock()
        self._stopped = False
        self.kept: dict[str, File] = {}
        """What the task leaves for its client, by name."""

    def folder(self) -> Path:
        """A folder that goes with the task. Raises `StorageError`."""
        if self._scratch is None:  # beside the store, so that its files can be linked here
            parent = self.shared("tasks")
            with storage_errors(parent):
                self._scratch = Path(tempfile.mkdtemp(dir=parent))
        return self._scratch

    @property
    def limit(self) -> int:
        """Bytes that the files of all tasks may take on this machine."""
        return self._store.limit

    def shared(self, name: str) -> Path:
        """A folder that tasks of this client share on this machine, for as long as it is there.

        Raises:
            StorageError: it cannot be made.
        """
        folder = self._benches.folder / self._session / name
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def lay_out(self, file: File, place: Path) -> None:
        """Makes a file of the task appear at `place`. Raises `StorageError`."""
        self._store.lay_out(file, place)

    def read(self, file: File) -> bytes:
        """The bytes of a file of the task. Raises `StorageError`."""
        return self._store.read(file, 0, file.size)

    def keep(self, name: str, path: Path) -> None:
        """Leaves a file for the client. Raises `StorageError`."""
        self.kept[name] = self._store.keep(path)

    def owns(self, thing: C) -> C:
        """Closes `thing` with the task, or at once where it was cancelled.

        Raises:
            ClusterError: it was cancelled.
        """
        with self._lock:
            self._open.append(thing)
            stopped = self._stopped
        if stopped:
            thing.close()
            raise ClusterError("The task was cancelled.")
        return thing

    def releases(self, thing: Closeable) -> None:
        """Leaves `thing` to what it has become a part of."""
        with self._lock:
            self._open = [one for one in self._open if one is not thing]

    @contextmanager
    def held(self, key: str, make: Callable[[], C]) -> Iterator[C]:
        """Something that a later task of this client takes over, such as an open session.

        It is closed where the task fails, or nobody asks for it in a minute.
        """
        thing: C = self._benches.take(self._session, key) or make()
        self.owns(thing)
        yield thing
        with self._lock:
            if self._stopped:
                return
            self._open = [one for one in self._open if one is not thing]
        self._benches.leave(self._session, key, thing)

    def close(self) -> None:
        """Ends all that the task started."""
        with self._lock:
            self._stopped = True
            opened, self._open = self._open, []
        for thing in opened:
            thing.close()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)


class Benches:
    """The tasks that run on this worker, and what they left for later ones.

    Args:
        folder: in which each client has one of its own; all workers of a machine have the same.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._running: dict[tuple[str, int], Bench] = {}
        self._idle: list[tuple[float, str, str, Any]] = []
        self._ended: set[str] = set()
        self._cleaning = False

    @contextmanager
    def bench(self, session: str, number: int, store: Store) -> Iterator[Bench]:
        """The bench of one task, closed behind it."""
        made = Bench(self, session, store)
        with self._lock:
            if session in self._ended:
                raise ClusterError("The task was cancelled.")
            self._running[session, number] = made
        try:
            yield made
        finally:
            with self._lock:
                self._running.pop((session, number), None)
            made.close()

    def stop(self, session: str, numbers: Sequence[int] | None) -> None:
        """Ends tasks of a client; where no numbers are given all, and what it left idle."""
        closing: list[Closeable] = []
        with self._lock:
            for (owner, number), bench in self._running.items():
                if owner == session and (numbers is None or number in numbers):
                    closing.append(bench)
            if numbers is None:
                self._ended.add(session)
                closing += [entry[3] for entry in self._idle if entry[1] == session]
                self._idle = [entry for entry in self._idle if entry[1] != session]
        for thing in closing:
            thing.close()
        if numbers is None:
            shutil.rmtree(self.folder / session, ignore_errors=True)

    def take(self, session: str, key: str) -> Any:
        """What an earlier task left under this key; None where there is nothing."""
        with self._lock:
            for entry in self._idle:
                if entry[1:3] == (session, key):
                    self._idle.remove(entry)
                    return entry[3]
        return None

    def leave(self, session: str, key: str, thing: Closeable) -> None:
        """Keeps it for a later task."""
        with self._lock:
            self._idle.append((time.monotonic(), session, key, thing))
            surplus = self._idle[:-_MOST_IDLE]
            self._idle = self._idle[-_MOST_IDLE:]
            ended, start = session in self._ended, not self._cleaning
            self._cleaning = True
        for entry in surplus:
            entry[3].close()
        if ended:
            self.stop(session, None)
        if start:
            threading.Thread(target=self._clean, daemon=True, name="snapq-idle").start()

    def _clean(self) -> None:
        """Closes what nobody asked for, as the client may have vanished."""
        while True:
            time.sleep(_IDLE_S / 10)
            with self._lock:
                old = [x for x in self._idle if x[0] < time.monotonic() - _IDLE_S]
                self._idle = [x for x in self._idle if x not in old]
            for entry in old:
                entry[3].close()
