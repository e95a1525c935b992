"""Finished work, kept by the hash of everything that it depends on.

A key covers the declared inputs, the options, snapq's own code and the versions of the libraries,
so a kept result is what a new computation would give. Everything that is kept carries its hash:
what is found damaged, or of another shape, is computed again. What rests on a failure is not kept.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from snapq.errors import StorageError
from snapq.npu import runtime
from snapq.stages.artifact import Artifact, code_fingerprint, library_versions
from snapq.storage import (
    TEMPORARY,
    atomic_folder,
    fingerprint,
    remove,
    remove_leftovers,
    storage_errors,
    write_json,
)

LOCK = ".lock"


class Cache:
    """Artifacts and JSON values by key.

    Args:
        folder: where they are kept; made when first needed.
        enabled: False computes everything again, and keeps the new results.
    """

    def __init__(self, folder: Path, *, enabled: bool = True) -> None:
        self._folder = folder
        self._enabled = enabled

    @staticmethod
    def key(kind: str, **parts: object) -> str:
        """Hash of `parts`, of snapq's code and of the tools: their versions, and what is usable."""
        tools = [library_versions(), runtime.status().usable]
        return fingerprint([kind, parts, code_fingerprint(), tools])

    def artifact(self, key: str) -> Artifact | None:
        """Returns the kept artifact, checked file by file; None where there is none."""
        folder = self._folder / "stages" / key
        if not self._enabled or not folder.is_dir():
            return None
        try:
            found = Artifact.read(folder)
        except StorageError:
            shutil.rmtree(folder, ignore_errors=True)
            return None
        _touch(folder)
        return None if found.record.failures else found

    def keep(self, key: str, build: Callable[[Path], Artifact]) -> Artifact:
        """Builds an artifact in a temporary folder and keeps it whole. Raises `StorageError`."""
        folder = self._place("stages") / key
        remove_leftovers(folder.parent)
        with atomic_folder(folder) as temporary:
            build(temporary)
        return Artifact.read(folder)

    def checkpoint(self, key: str) -> Path:
        """Where a stage keeps the state of unfinished work. Raises `StorageError`."""
        return self._file("checkpoints", f"{key}.checkpoint")

    def value(self, key: str) -> Any | None:
        """Returns the kept JSON value; None where there is none, or it is damaged."""
        path = self._folder / "values" / f"{key}.json"
        if not self._enabled or not path.is_file():
            return None
        try:
            found = json.loads(path.read_bytes())
            _touch(path)
            return found["value"] if found["sha256"] == fingerprint(found["value"]) else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def keep_value(self, key: str, value: Any) -> None:
        """Keeps a JSON value. Raises `StorageError`."""
        path = self._file("values", f"{key}.json")
        plain = json.loads(json.dumps(value))
        write_json(path, {"sha256": fingerprint(plain), "value": plain})

    def _file(self, place: str, name: str) -> Path:
        """A file of the cache; a folder in its place goes. Raises `StorageError`."""
        path = self._place(place) / name
        with storage_errors(path):
            if path.is_dir():
                remove(path)
        return path

    def _place(self, name: str) -> Path:
        """A folder of the cache; a file or a broken link in its place goes.

        Raises:
            StorageError: it cannot be removed.
        """
        place = self._folder / name
        with storage_errors(place):
            for folder in (self._folder, place):
                # What is not there stays so: others may be about to make it.
                if os.path.lexists(folder) and not folder.is_dir():
                    remove(folder)
        return place


@contextmanager
def taken_in(folder: Path, *, fresh: bool = False) -> Iterator[Path]:
    """Takes in what another machine kept, when the block ends without an error.

    Args:
        folder: of a cache.
        fresh: whether it takes the place of what is kept here.

    Yields:
        A folder for `stages/KEY/…` and `values/KEY.json`.

    Raises:
        StorageError: a file cannot be written, or an artifact came damaged.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        gathered = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=folder))
        try:
            yield gathered
            for path in sorted(gathered.glob("stages/*")):
                Artifact.read(path)
            for path in sorted((*gathered.glob("stages/*"), *gathered.glob("values/*.json"))):
                place = folder / path.relative_to(gathered)
                place.parent.mkdir(parents=True, exist_ok=True)
                if fresh:
                    remove(place)
                with suppress(OSError):  # somebody else was faster
                    path.replace(place)
        finally:
            shutil.rmtree(gathered, ignore_errors=True)


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Keeps `snapq clean` away from a cache while the block runs; several runs may use it."""
    with ExitStack() as stack:
        with suppress(OSError):  # a disk without locks, or one that cannot be written
            folder.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((folder / LOCK).open("a"))
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def _touch(path: Path) -> None:
    """Notes when something was used last: what was not used for long is removed first."""
    with suppress(OSError):
        os.utime(path)


def copy_artifact(artifact: Artifact, folder: Path) -> Artifact:
    """Puts an artifact into a run directory, by hard link where the file system allows.

    Raises:
        StorageError: a file cannot be written.
    """
    with storage_errors(folder):
        for source in sorted(artifact.folder.rglob("*")):
            if source.is_dir() or source.name.startswith(TEMPORARY):
                continue
            target = folder / source.relative_to(artifact.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, target)
            except OSError:
                shutil.copy2(source, target)
    return Artifact(folder, artifact.record)
