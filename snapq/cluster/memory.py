"""The memory of a Dask worker with its children: counted, bounded, and told.

Dask bounds the worker's own process. What compiles and simulates are children of it, so these are
counted here, and the largest is ended when all of them take more than the worker may.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

from snapq.errors import ClusterError, SnapqError

__all__ = ["bound", "explained", "limit", "most", "peak", "watch"]

_EVERY_S = 0.25
_GB = 1e9


class _Seen:
    """What the watcher saw."""

    watching = False
    most: int | None = None
    peak = 0
    ended_at = float("-inf")
    ended_for = 0


def limit(worker: Any) -> int | None:
    """Bytes that Dask gives a worker (`--memory-limit`); None where it bounds nothing."""
    found = getattr(getattr(worker, "memory_manager", None), "memory_limit", None)
    return int(found) if found else None


def peak() -> int:
    """The most bytes so far."""
    return _Seen.peak


_starting = threading.Lock()


def watch(worker: Any) -> None:
    """Begins to count; once a process."""
    with _starting:
        if not _Seen.watching:
            _Seen.watching, _Seen.most = True, limit(worker)
            threading.Thread(target=_watch, daemon=True, name="snapq-memory").start()


def most() -> int | None:
    """The bound that holds."""
    return _Seen.most


def bound(given: int | None) -> None:
    """Gives this process another bound; None for none."""
    _Seen.most = given


def explained(error: SnapqError, begun: float) -> SnapqError:
    """The error of a task, or what it came from where one was ended for its memory since then."""
    if not error.transient or _Seen.ended_at < begun:
        return error
    had = f"{_Seen.ended_for / _GB:.1f} GB"
    return ClusterError(
        f"The task took more than the {had} of memory that its worker has.",
        where=error.where,
        hint="Start the workers with a larger --memory-limit, or fewer of them on a machine.",
    )


def _watch() -> None:
    import psutil

    own = psutil.Process()
    while True:
        allowed, sizes = _Seen.most, {}
        with suppress(psutil.Error):
            for process in own.children(recursive=True):
                with suppress(psutil.Error):
                    sizes[process] = process.memory_info().rss
            total = own.memory_info().rss + sum(sizes.values())
            _Seen.peak = max(_Seen.peak, total)
            if allowed is not None and total > allowed and sizes:
                _Seen.ended_at, _Seen.ended_for = time.monotonic(), allowed
                max(sizes, key=lambda process: sizes[process]).kill()
        time.sleep(_EVERY_S)
