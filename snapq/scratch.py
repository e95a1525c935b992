"""Temporary folders that go with their process, or with a later one where it was killed.

Each holds a file that its process locks for as long as it lives. The kernel takes the lock away
from who dies, so a folder whose lock is free belongs to nobody; a number of a process would say
less, as containers that share a folder count for themselves.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Self

from snapq.errors import StorageError
from snapq.storage import storage_errors

PREFIX = "snapq-"
_OWNER = ".owner"


class Scratch:
    """A temporary folder; use it as a context manager, or keep the object as long as the files.

    Raises:
        StorageError: there is no place for temporary files.
    """

    def __init__(self) -> None:
        with temporary_files() as parent:
            _remove_abandoned(parent)
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent)).absolute()
            """The folder."""
            try:
                owner = _locked(self.path)
            except BaseException:
                shutil.rmtree(self.path, ignore_errors=True)
                raise
        self._end = weakref.finalize(self, _remove, self.path, owner)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Removes the folder with all that is in it; may be called twice."""
        self._end()


@contextmanager
def temporary_files() -> Iterator[Path]:
    """The system's folder for temporary files, while something is done with a file in it.

    Raises:
        StorageError: there is none that can be written, or what is done fails.
    """
    try:
        parent = Path(tempfile.gettempdir())
    except FileNotFoundError:
        raise StorageError(
            "There is no folder for temporary files that can be written.",
            where=os.environ.get("TMPDIR"),
            hint="Set TMPDIR to a folder that you may write.",
        ) from None
    with storage_errors(parent):
        yield parent


def _locked(folder: Path) -> int:
    """Makes the file that says that the folder has an owner; returns its open descriptor."""
    new = folder / f"{_OWNER}-new"
    owner = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            new.rename(folder / _OWNER)  # only now, so that nobody finds it without its lock
    except BaseException:
        os.close(owner)
        raise
    return owner


def _remove(folder: Path, owner: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.close(owner)


@cache
def _remove_abandoned(parent: Path) -> None:
    """Removes this user's folders there whose processes have ended; once a process."""
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            with suppress(OSError):
                if not entry.name.startswith(PREFIX) or not entry.is_dir(follow_symlinks=False):
                    continue
                if entry.stat(follow_symlinks=False).st_uid == os.getuid():
                    _remove_where_free(Path(entry.path))


def _remove_where_free(folder: Path) -> None:
    """Removes a folder whose lock is free. Raises `OSError` where it is not, or has none."""
    owner = os.open(folder / _OWNER, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(owner)
