"""The history of benchmarks: one SQLite file of the user's."""

from __future__ import annotations

import sqlite3
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from snapq.benchmarking.history.wanted import Wanted
from snapq.errors import ConfigError, LeftOutWarning, StorageError
from snapq.home import user_path
from snapq.records.bench import BenchRecord
from snapq.storage import storage_errors

VARIABLE = "SNAPQ_HISTORY"
_BUSY_S = 30
EVERYTHING = Wanted()
_SCHEMA = """
CREATE TABLE IF NOT EXISTS benchmarks (
    run_id TEXT PRIMARY KEY,
    started_at TEXT NOT NULL,
    model TEXT NOT NULL,
    label TEXT NOT NULL,
    target TEXT NOT NULL,
    p50_ms REAL NOT NULL,
    record BLOB NOT NULL
)
"""
_SUBJECTS = """
TABLE IF NOT EXISTS subjects (
    run_id TEXT PRIMARY KEY,
    deployment TEXT,
    given TEXT,
    sha256 TEXT,
    stage TEXT,
    precision TEXT,
    device TEXT,
    calibration TEXT,
    evaluation TEXT
)
"""
"""A table of its own, so that earlier versions of snapq can use the file too."""


def history_path() -> Path:
    """Where the history is: `$SNAPQ_HISTORY`, else under `~/.local/share/snapq`.

    Raises:
        StorageError: there is no home folder.
    """
    return user_path(
        "snapq/history.sqlite", variable=VARIABLE, base="XDG_DATA_HOME", otherwise="~/.local/share"
    )


def remember(records: Iterable[BenchRecord], path: Path | None = None) -> None:
    """Adds results, with every single latency; one that is there already is kept as it is.

    Raises:
        StorageError: the file cannot be written, or is no history.
    """
    place, kept = path or history_path(), list(records)
    with storage_errors(place):
        place.parent.mkdir(parents=True, exist_ok=True)
    with _opened(place) as database, database:
        database.execute(_SCHEMA)
        database.execute(f"CREATE {_SUBJECTS}")
        database.executemany(
            "INSERT OR IGNORE INTO benchmarks VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    record.run_id,
                    record.started_at,
                    record.model.name,
                    record.model.label,
                    record.target.name,
                    record.latency_ms.p50,
                    zlib.compress(record.model_dump_json().encode()),
                )
                for record in kept
            ],
        )
        database.executemany(
            "INSERT OR IGNORE INTO subjects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(record.run_id, *_subject(record)) for record in kept],
        )


def _subject(record: BenchRecord) -> Iterator[str | None]:
    """The row of a result in the table of subjects, behind its id."""
    subject = record.subject
    yield subject.deployment if subject else None
    yield subject.given_sha256 if subject else None
    yield record.model.sha256
    yield subject.stage if subject else None
    yield subject.precision if subject else record.model.label
    yield record.target.soc
    yield subject.calibration_sha256 if subject else None
    yield subject.evaluation_sha256 if subject else None


def recent(
    wanted: Wanted = EVERYTHING, *, limit: int = 20, path: Path | None = None
) -> tuple[BenchRecord, ...]:
    """The newest results, newest first.

    Args:
        wanted: which ones.
        limit: at most so many.
        path: the history.

    A result that cannot be read, such as one that another version of snapq wrote, is left out with
    a warning.

    Raises:
        StorageError: the file is no history, or damaged.
    """
    place = path or history_path()
    if not place.is_file():
        return ()
    condition, values = wanted.sql()
    with _opened(place) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if "subjects" not in tables:  # an earlier version wrote it; the file is left as it is
            database.execute(f"CREATE TEMPORARY {_SUBJECTS}")
        rows = database.execute(
            "SELECT record FROM benchmarks LEFT JOIN subjects USING (run_id) WHERE "
            f"{condition} ORDER BY started_at DESC, benchmarks.rowid DESC",
            values,
        )
        found, unread = _readable((row[0] for row in rows), limit, place)
    if unread:
        results = "1 result is" if unread == 1 else f"{unread} results are"
        warnings.warn(
            f"{results} left out: another version of snapq wrote what is there, or it is damaged "
            f"({place}).",
            LeftOutWarning,
            stacklevel=2,
        )
    return found


def _readable(rows: Iterable[bytes], limit: int, path: Path) -> tuple[tuple[BenchRecord, ...], int]:
    """The first results that can be read, and how many in between cannot."""
    found: list[BenchRecord] = []
    unread = 0
    for data in rows:
        if len(found) == limit:
            break
        try:
            found.append(_record(data, path))
        except StorageError:
            unread += 1
    return tuple(found), unread


def find(run: str, path: Path | None = None) -> BenchRecord:
    """The result with this id, or with an id that starts so.

    Raises:
        ConfigError: there is none, or more than one.
        StorageError: the file is no history, or damaged.
    """
    place = path or history_path()
    rows = []
    if place.is_file() and run:
        with _opened(place) as database:
            rows = database.execute(
                "SELECT run_id, record FROM benchmarks WHERE substr(run_id, 1, ?) = ? LIMIT 2",
                (len(run), run),
            ).fetchall()
    if len(rows) == 1:
        return _record(rows[0][1], place)
    raise ConfigError(
        f"{'More than one run starts' if rows else 'No run starts'} with {run[:80]!r}.",
        where=str(place),
        hint="`snapq history` lists them.",
    )


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Opens the history; its file is for its user alone, as it names boards and their addresses."""
    with storage_errors(path):
        if not path.exists():
            path.touch(mode=0o600)
    with suppress(OSError):  # it is somebody else's, or on a disk that cannot be written
        path.chmod(0o600)
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_S)) as database:
            yield database
    except sqlite3.Error as error:
        raise StorageError(
            f"The history cannot be used: {error}.",
            where=str(path),
            hint=f"Move the file away, or name another in ${VARIABLE}.",
        ) from error


def _record(data: bytes, path: Path) -> BenchRecord:
    try:
        return BenchRecord.model_validate_json(zlib.decompress(data))
    except (ValidationError, zlib.error) as error:
        raise StorageError(
            "The result cannot be read: another version of snapq wrote it, or it is damaged.",
            where=str(path),
            hint="Measure again; `snapq history` lists what can be read.",
        ) from error
