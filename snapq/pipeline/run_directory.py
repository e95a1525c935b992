"""The run directory: it appears whole when the run ends, or not at all.

A run is built in `.tmp-NAME` beside its place, under a lock that dies with the process. What a
killed run left behind is removed by the next run that comes by. A run that fails leaves its log
and its error in its place, and nothing else.
"""

from __future__ import annotations

import json
import shutil
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from snapq.errors import SnapqError, StorageError
from snapq.storage import TEMPORARY, storage_errors

LOG_NAME = "log.txt"
ERROR_NAME = "error.json"


@contextmanager
def run_folder(place: Path) -> Iterator[Path]:
    """Yields the folder in which a run is built; it becomes `place` when the block ends well.

    Args:
        place: where the run directory shall stand; it must not exist, or be an empty folder.

    Raises:
        StorageError: `place` is taken, in use by another run, or cannot be written.
    """
    with storage_errors(place):
        made = not place.parent.exists()
        place.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(place.parent)
        lock = _lock(place)
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            raise StorageError(
                "Another run is writing this directory.",
                where=str(place),
                hint="Wait for it to end, or name another directory with --output.",
            ) from error
        try:
            _refuse_taken(place)
            building = _building(place)
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            try:
                yield building
                _remove_failed(place)
                building.replace(place)
            except Exception as error:
                _keep_log(building, place, error)
                raise
            finally:
                shutil.rmtree(building, ignore_errors=True)
        finally:
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()
            if made:
                with suppress(OSError):  # not empty: a run stands there now
                    place.parent.rmdir()


def new_place(runs: Path, name: str) -> Path:
    """Returns a free `runs/NAME/TIME` for a run that starts now (UTC)."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    place = runs / name / stamp
    count = 1
    while place.exists() or _building(place).exists():
        count += 1
        place = runs / name / f"{stamp}-{count}"
    return place


def finished_runs(folder: Path) -> list[Path]:
    """Finished run directories in a folder and one level below it, newest first."""
    found = []
    for record in (*folder.glob("*/run.json"), *folder.glob("*/*/run.json")):
        if not any(part.startswith(".") for part in record.relative_to(folder).parts):
            with suppress(OSError):  # it was removed just now
                found.append((record.stat().st_mtime_ns, record.parent.name, record.parent))
    return [path for *_, path in sorted(found, reverse=True)]


def latest(runs: Path) -> Path | None:
    """Returns the newest finished run directory under `runs`, or None."""
    return next(iter(finished_runs(runs)), None)


def _keep_log(building: Path, place: Path, error: Exception) -> None:
    """Leaves the log of a failed run in its place; the error then says where."""
    log = building / LOG_NAME
    if not log.is_file():  # it failed before there was anything to tell
        return
    with suppress(OSError):  # such as a full disk, which may be why it failed
        with log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write("".join(traceback.format_exception(error)))
        _remove_failed(place)
        place.mkdir(exist_ok=True)
        log.replace(place / LOG_NAME)
        values = {"kind": type(error).__name__, "what": str(error)}
        if isinstance(error, SnapqError):
            values |= {"what": error.what, "where": error.where or "", "hint": error.hint or ""}
            error.log = str(place / LOG_NAME)
        (place / ERROR_NAME).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def is_failed(place: Path) -> bool:
    """Whether a folder is what a failed run left: its log and its error, and nothing else."""
    return (place / ERROR_NAME).is_file() and {path.name for path in place.iterdir()} <= {
        LOG_NAME,
        ERROR_NAME,
    }


def _remove_failed(place: Path) -> None:
    if place.is_dir() and is_failed(place):
        shutil.rmtree(place)


def _building(place: Path) -> Path:
    return place.with_name(f"{TEMPORARY}{place.name}")


def _lock(place: Path) -> FileLock:
    return FileLock(place.with_name(f".{place.name}.lock"))


def _refuse_taken(place: Path) -> None:
    if not place.exists():
        return
    if not place.is_dir() or (any(place.iterdir()) and not is_failed(place)):
        raise StorageError(
            "The output directory exists and is not empty.",
            where=str(place),
            hint="Name another directory with --output, or remove this one.",
        )


def _remove_stale(parent: Path) -> None:
    """Removes the building folders whose process is gone, and their locks."""
    for building in parent.glob(f"{TEMPORARY}*"):
        place = building.with_name(building.name.removeprefix(TEMPORARY))
        lock = _lock(place)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        shutil.rmtree(building, ignore_errors=True)
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
