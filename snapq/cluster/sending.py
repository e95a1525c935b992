"""Files on their way: named by their content here, sent to who lacks them, fetched from workers."""

from __future__ import annotations

import threading
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from snapq.cluster import remote
from snapq.cluster.remote import Lacks
from snapq.cluster.roster import Roster
from snapq.cluster.scheduler import GoneError, Scheduler
from snapq.cluster.store import File, Part, digest
from snapq.errors import ClusterError, SnapqError
from snapq.storage import sha256_file, storage_errors

__all__ = ["Sending"]

_PARCEL = 1 << 25
"""Bytes that go to or come from a worker at once."""


class Sending:
    """The files of this machine that tasks need, and their way to the workers and back."""

    def __init__(self, scheduler: Scheduler, roster: Roster) -> None:
        self._scheduler = scheduler
        self._roster = roster
        self._lock = threading.Lock()
        self._paths: dict[str, Path] = {}
        self._bytes: dict[str, tuple[bytes, int]] = {}
        self._hashed: dict[tuple[str, int, int], File] = {}
        self._to_host: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)
        self.sent = 0
        """Bytes so far."""

    def file(self, path: Path) -> File:
        """Names a file by its content. Raises `StorageError`."""
        with storage_errors(path):
            status = path.stat()
            key = (str(path.absolute()), status.st_size, status.st_mtime_ns)
            if key not in self._hashed:
                self._hashed[key] = File(sha256_file(path), status.st_size)
        found = self._hashed[key]
        with self._lock:
            self._paths[found.sha256] = path.absolute()
        return found

    def data(self, content: bytes) -> File:
        """Names bytes by their content, and holds them until `forget` was called as often."""
        found = digest(content)
        with self._lock:
            held, times = self._bytes.get(found.sha256, (content, 0))
            self._bytes[found.sha256] = held, times + 1
        return found

    def forget(self, files: Sequence[File]) -> None:
        """Lets go of bytes that no task needs any more; the workers may still have them."""
        with self._lock:
            for file in files:
                content, times = self._bytes.pop(file.sha256, (b"", 0))
                if times > 1:
                    self._bytes[file.sha256] = content, times - 1

    def provide(self, answer: Lacks) -> None:
        """Sends a worker what it lacks; machines with one folder of files get each once.

        Raises:
            GoneError: the worker ended.
            ClusterError, StorageError: it does not fit, a disk is full, or a file is not here.
        """
        found = self._roster.identity(answer.worker)
        with self._lock:
            one_at_a_time = self._to_host[found.host, found.store]
        with one_at_a_time:
            missing = self._scheduler.on(answer.worker, remote.lacks, answer.files)
            self._send(answer.worker, missing)

    def fetch(self, worker: str, file: File, place: Path) -> None:
        """Brings a file here.

        Raises:
            GoneError: the worker ended, or removed the file for the sake of others.
            ClusterError, StorageError: it came damaged, or cannot be written.
        """
        with storage_errors(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as opened:
                while opened.tell() < file.size:
                    data = self._scheduler.on(worker, remote.send, file, opened.tell(), _PARCEL)
                    if isinstance(data, SnapqError) or not data:
                        raise GoneError
                    opened.write(data)
        if sha256_file(place) != file.sha256:
            raise ClusterError("A file came back damaged.", where=str(place), hint="Try again.")

    def _send(self, worker: str, files: Sequence[File]) -> None:
        token = uuid.uuid4().hex
        parcel: list[Part] = []
        size = 0
        for part in (part for file in files for part in self._parts(file)):
            parcel.append(part)
            size += len(part.data)
            if size >= _PARCEL:
                self._deliver(worker, token, parcel)
                parcel, size = [], 0
        if parcel:
            self._deliver(worker, token, parcel)

    def _deliver(self, worker: str, token: str, parcel: Sequence[Part]) -> None:
        error = self._scheduler.on(worker, remote.receive, token, tuple(parcel))
        if isinstance(error, SnapqError):
            raise error
        with self._lock:
            self.sent += sum(len(part.data) for part in parcel)

    def _parts(self, file: File) -> Iterator[Part]:
        with self._lock:
            content, _ = self._bytes.get(file.sha256, (None, 0))
            source = self._paths.get(file.sha256)
        if content is not None:
            yield Part(file, 0, content)
            return
        if source is None:
            raise ClusterError("A file of a task is not at hand any more.", where=file.sha256[:12])
        with storage_errors(source), source.open("rb") as opened:
            offset = 0
            while data := opened.read(_PARCEL):
                yield Part(file, offset, data)
                offset += len(data)
            if file.size == 0:
                yield Part(file, 0, b"")
