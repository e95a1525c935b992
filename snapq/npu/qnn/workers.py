"""Workers in which every call of Qualcomm's runtime happens.

The runtime is native code that can crash, print, hang or keep memory, and its compiler writes the
same bytes only the first time in a process. So each piece of work gets a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from snapq.errors import SnapqError, UnansweredError
from snapq.npu.qnn.catalogue import explain
from snapq.workers import pool
from snapq.workers.pool import DEFAULT_TIMEOUT_S, Wording, WorkerPool

__all__ = ["DEFAULT_TIMEOUT_S", "Worker", "WorkerPool", "call", "gather", "worker_pool"]

S = TypeVar("S")
T = TypeVar("T")

_WORDING = Wording(
    subject="Qualcomm's runtime",
    error=UnansweredError,
    crash_hint="`snapq doctor` checks the installation; if it is well, the model sets off a fault "
    "of the library: `snapq inspect --cut-at TENSOR` tells whether what is in front is well.",
    timeout_hint="Give it more time, or a smaller model.",
    explain=lambda text, log: explain(text, log=log),
    chatter=("# LIBNATIVE: No alternate configuration",),
)


Worker = partial(pool.Worker, _WORDING)
"""One process for Qualcomm's runtime. Raises `UnansweredError` where it dies or time is up."""
worker_pool = partial(WorkerPool, _WORDING)
"""Workers for Qualcomm's runtime that end together."""


def call(function: Callable[..., T], *args: Any, timeout_s: float = DEFAULT_TIMEOUT_S) -> T:
    """Runs `function(*args)` in a process of its own. Raises as `Worker.call` does."""
    with Worker() as worker:
        return worker.call(function, *args, timeout_s=timeout_s)


def gather(
    work: Callable[[WorkerPool, S], T], items: Sequence[S], workers: int | None = None
) -> list[T | SnapqError]:
    """As `pool.gather`, with workers for Qualcomm's runtime."""
    return pool.gather(_WORDING, work, items, workers)
