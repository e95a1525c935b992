"""What snapq keeps on this machine, how much room it takes, and freeing it again."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from snapq.benchmarking.history.store import VARIABLE as HISTORY_VARIABLE
from snapq.benchmarking.history.store import history_path
from snapq.errors import StorageError
from snapq.home import CACHE_VARIABLE, cache_path
from snapq.pipeline.cache import LOCK
from snapq.pipeline.run_directory import finished_runs, is_failed
from snapq.storage import TEMPORARY, remove, remove_leftovers, storage_errors

_RESTING_S = 3600
"""What was used within the last hour may be in use by another process."""


@dataclass(frozen=True)
class Entry:
    """Something that is kept, and can be removed by itself.

    Attributes:
        path: file or folder.
        bytes: of its files.
        frees: bytes that removing it frees: those of files without another hard link, as a run
            directory shares its models with the cache.
        used: when it was used last, in seconds since 1970.
    """

    path: Path
    bytes: int
    frees: int
    used: float


@dataclass(frozen=True)
class Place:
    """A folder of one kind of things.

    Attributes:
        name: of the kind, as `snapq clean --only` takes it.
        what: what is in it.
        folder: where.
        variable: environment variable or option that says where.
        entries: what is in it now.
        removable: whether `snapq clean` removes any of it; it can be made or fetched again.
    """

    name: str
    what: str
    folder: Path
    variable: str
    entries: tuple[Entry, ...]
    removable: bool = True

    @property
    def bytes(self) -> int:
        """Room that all of it takes."""
        return sum(entry.bytes for entry in self.entries)


@dataclass(frozen=True)
class Cleaned:
    """What was removed.

    Attributes:
        removed: entries, with the place of each.
        skipped: sentences on what stays although a limit asks for it.
    """

    removed: tuple[tuple[str, Entry], ...] = ()
    skipped: tuple[str, ...] = field(default=())

    @property
    def freed(self) -> int:
        """Bytes that are free now."""
        return sum(entry.frees for _, entry in self.removed)


def places(runs: Path) -> tuple[Place, ...]:
    """Everything that snapq keeps: below a directory of runs, and for the user."""
    return (*_of_runs(runs), *_of_user())


def _of_runs(runs: Path) -> Iterator[Place]:
    cache = runs / ".cache"
    for name, what in (
        ("stages", "finished stages, which later runs reuse"),
        ("values", "evidence and estimates, which later runs reuse"),
        ("checkpoints", "unfinished training, which a later run goes on with"),
    ):
        yield Place(name, what, cache / name, "--runs", tuple(_entries(cache / name)))
    failed = [one for one in _folders(runs) if is_failed(one)]
    what = "logs of runs that failed"
    yield Place("failed", what, runs, "--runs", tuple(map(_entry, failed)))
    finished = tuple(map(_entry, finished_runs(runs)))
    yield Place("runs", "finished runs", runs, "--runs", finished, removable=False)


def _of_user() -> Iterator[Place]:
    try:
        cache, history = cache_path(), history_path()
    except StorageError:  # no home folder, so nothing in it
        return
    wheels, emulator = cache / "wheels", cache / "emulator"
    yield Place("wheels", "libraries for boards", wheels, CACHE_VARIABLE, tuple(_entries(wheels)))
    images = emulator / "images"
    yield Place(
        "images", "emulated boards to start from", images, CACHE_VARIABLE, tuple(_entries(images))
    )
    boards = emulator / "boards"
    yield Place(
        "boards",
        "emulated boards that run (`snapq board emulate stop` ends them)",
        boards,
        CACHE_VARIABLE,
        tuple(_entries(boards)),
        removable=False,
    )
    file = (_entry(history),) if history.is_file() else ()
    yield Place("history", "measurements", history, HISTORY_VARIABLE, file, removable=False)


def _folders(runs: Path) -> list[Path]:
    with suppress(OSError):
        found = (path for name in runs.iterdir() if name.is_dir() for path in name.iterdir())
        return sorted(path for path in found if path.is_dir() and path.name[0] != ".")
    return []


def _entries(folder: Path) -> Iterator[Entry]:
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            if not path.name.endswith(LOCK) and not path.name.startswith(TEMPORARY):
                yield _entry(path)


def _entry(path: Path) -> Entry:
    size, frees, used = 0, 0, 0.0
    with suppress(OSError):
        used = path.lstat().st_mtime
    for file in _files(path):
        with suppress(OSError):
            found = file.lstat()
            size += found.st_size
            frees += found.st_size if found.st_nlink == 1 else 0
    return Entry(path, size, frees, used)


def _files(path: Path) -> Iterator[Path]:
    if path.is_symlink() or not path.is_dir():
        yield path
        return
    for folder, _, names in os.walk(path):
        yield from (Path(folder, name) for name in names)


def clean(
    runs: Path,
    *,
    older_than_s: float | None = None,
    max_bytes: int | None = None,
    only: Sequence[str] = (),
    dry_run: bool = False,
) -> Cleaned:
    """Removes what can be made or fetched again and is old, or more than there shall be.

    Args:
        runs: directory of runs, whose cache is cleaned too.
        older_than_s: what was not used for so many seconds goes.
        max_bytes: of the rest, what was used longest ago goes until so many bytes stay.
        only: names of places; all that are removable where empty.
        dry_run: remove nothing.

    Raises:
        StorageError: something cannot be removed.
    """
    chosen = [
        place for place in places(runs) if place.removable and (not only or place.name in only)
    ]
    skipped: list[str] = []
    with ExitStack() as stack:
        if not stack.enter_context(_alone(runs / ".cache")):
            skipped.append(f"{runs / '.cache'} is in use by a run, and stays as it is.")
            chosen = [place for place in chosen if place.folder.parent != runs / ".cache"]
        candidates = []
        for place in chosen:
            resting = [entry for entry in place.entries if _rests(place, entry)]
            candidates += [(place.name, entry) for entry in resting]
            if len(resting) < len(place.entries):
                skipped.append(f"{place.name}: what was used within the last hour stays.")
        candidates.sort(key=lambda found: found[1].used)
        goes = list(_chosen(candidates, older_than_s, max_bytes))
        if not dry_run:
            for _, entry in goes:
                _remove(entry.path)
            for place in chosen:
                remove_leftovers(place.folder)
    return Cleaned(tuple(goes), tuple(skipped))


def _rests(place: Place, entry: Entry) -> bool:
    """Whether no process can be at it: the cache of runs has a lock, and others have the time."""
    return place.variable == "--runs" or time.time() - entry.used > _RESTING_S


def _chosen(
    candidates: Sequence[tuple[str, Entry]], older_than_s: float | None, max_bytes: int | None
) -> Iterator[tuple[str, Entry]]:
    """What goes, of candidates in the order of their last use."""
    oldest = None if older_than_s is None else time.time() - older_than_s
    total = sum(entry.frees for _, entry in candidates)
    for name, entry in candidates:
        aged = oldest is not None and entry.used < oldest
        # What frees nothing would be made again for nothing.
        much = max_bytes is not None and total > max_bytes and entry.frees > 0
        if aged or much:
            total -= entry.frees
            yield name, entry


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether no run uses a cache, and none can begin to while the block runs."""
    if not folder.is_dir():
        yield True
        return
    with ExitStack() as stack:
        try:
            lock = stack.enter_context((folder / LOCK).open("a"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:  # a disk without locks: a run there has none either
            pass
        yield True


def _remove(path: Path) -> None:
    """Removes an entry so that no half of it is ever found. Raises `StorageError`."""
    with storage_errors(path):
        gone = path.with_name(f"{TEMPORARY}{path.name}")
        remove(gone)
        path.replace(gone)
        remove(gone)
