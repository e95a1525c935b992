"""Reads `run.json` back, so that a report can be written again from a run directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from snapq.errors import StorageError
from snapq.records import SCHEMA, RunRecord
from snapq.storage import storage_errors

RECORD_NAME = "run.json"


def load_record(path: Path) -> RunRecord:
    """Reads the record of a run directory, or of its `run.json`.

    Raises:
        StorageError: there is no such file, it is damaged, or another version of snapq wrote it.
    """
    file = path / RECORD_NAME if path.is_dir() else path
    if not file.exists() and (path / "error.json").is_file():
        raise StorageError(
            "The run failed, so that there is no record of it.",
            where=str(path),
            hint=f"Its log is {path / 'log.txt'}.",
        )
    if not file.exists():
        raise StorageError(
            f"There is no {RECORD_NAME} here." if path.is_dir() else "There is no such file.",
            where=str(path),
            hint=f"Give the directory of a run (runs/NAME/TIME), which holds {RECORD_NAME}.",
        )
    with storage_errors(file):
        data = file.read_bytes()
    value = _parse(data, file)
    version = value.get("schema_version")
    if version != SCHEMA:
        raise StorageError(
            f"This is a record of schema {version!r}; this snapq reads {SCHEMA!r}.",
            where=str(file),
            hint="Write the report with the snapq version that made the run, or run it again.",
        )
    try:
        return RunRecord.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise _damaged(file, f"{key}: {first['msg']}") from error


def _parse(data: bytes, file: Path) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except UnicodeDecodeError as error:
        raise _damaged(file, "it is not UTF-8 text") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise _damaged(file, f"it is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise _damaged(file, "it does not hold an object")
    return value


def _damaged(file: Path, detail: str) -> StorageError:
    return StorageError(
        f"The record of the run cannot be read: {detail}.",
        where=str(file),
        hint="Run it again; finished stages are reused.",
    )
