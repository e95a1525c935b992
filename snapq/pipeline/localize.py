"""Entries of a stage cache that were made below another root, as they would be without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from snapq.stages.artifact import RECORD, ArtifactRecord
from snapq.storage import fingerprint, sha256_file, write_json, write_text

__all__ = ["localize", "without"]

_TEXTS = {".json", ".md", ".txt", ".csv"}


def localize(entry: Path, root: str) -> list[Path]:
    """Leaves `root` out of every text of an artifact's folder, or of a kept value's file.

    Returns:
        The files of the entry.

    Raises:
        StorageError: a file cannot be written.
    """
    if entry.is_file():
        kept = json.loads(entry.read_bytes())
        value = without(kept["value"], root)
        if value != kept["value"]:
            write_json(entry, {"sha256": fingerprint(value), "value": value})
        return [entry]
    changed = [
        path
        for path in entry.rglob("*")
        if path.suffix in _TEXTS and path.name != RECORD and root.encode() in path.read_bytes()
    ]
    for path in changed:
        write_text(path, path.read_text(encoding="utf-8").replace(root, ""))
    record = json.loads((entry / RECORD).read_bytes())
    if changed or root in json.dumps(record):
        record = without(record, root)
        for path in changed:
            record["files"][path.relative_to(entry).as_posix()] = sha256_file(path)
        found = ArtifactRecord.model_validate_json(json.dumps(record))
        found = found.model_copy(update={"sha256": found.hashed()})
        write_json(entry / RECORD, found.model_dump(mode="json"))
    return [path for path in sorted(entry.rglob("*")) if path.is_file()]


def without(value: Any, root: str) -> Any:
    """JSON values with `root` left out of every text."""
    if isinstance(value, str):
        return value.replace(root, "")
    if isinstance(value, dict):
        return {name.replace(root, ""): without(inner, root) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without(inner, root) for inner in value]
    return value
