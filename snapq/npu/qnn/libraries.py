"""Whether each native library of Qualcomm's runtime can be loaded, and if not why."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path

from snapq.errors import SnapqError
from snapq.npu.qnn import availability, workers


@dataclass(frozen=True)
class Library:
    """One native library and what came of loading it."""

    name: str
    purpose: str
    path: Path
    loaded: bool
    reason: str | None
    """Why it does not load."""


def check_libraries() -> tuple[Library, ...]:
    """Loads each library that this machine needs, in a process of its own.

    Raises:
        InstallError: onnxruntime-qnn is not installed.
    """
    paths = {name: availability.library(name) for name in availability.required()}
    results = workers.call_all([workers.Task(_load, (str(path),)) for path in paths.values()])
    return tuple(
        _library(name, path, result)
        for (name, path), result in zip(paths.items(), results, strict=True)
    )


def _library(name: str, path: Path, result: SnapqError | str | None) -> Library:
    reason = result.what if isinstance(result, SnapqError) else result
    return Library(name, availability.PURPOSES[name], path, reason is None, reason)


def _load(path: str) -> str | None:
    """Runs in a worker: the reason why a library does not load, or None."""
    try:
        ctypes.CDLL(path)
    except OSError as error:
        return str(error)
    return None
