"""Files of a run and of its bundle."""

from __future__ import annotations

from typing import Any

from snapq.records.base import Record


class FileRecord(Record):
    """One file: where it is (relative to the run directory) and how large."""

    path: str
    sha256: str
    bytes: int
    bytes_compressed: int
    """Size after zlib level 6: what a download costs."""


class BundleTargetRecord(Record):
    """One compiled target of a bundle."""

    device: str
    soc_id: int
    architecture: int
    vtcm_mb: int | None
    files: tuple[FileRecord, ...]
    options: dict[str, str]
    candidates: tuple[dict[str, Any], ...] = ()
    """Compile options that were tried, each with its estimate."""
    reload: str
    """What the reload in a fresh process showed, one sentence."""
    qairt: str
