"""The cluster that work of this process goes to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from snapq.cluster.address import parse
from snapq.cluster.connection import Cluster
from snapq.cluster.library import library
from snapq.cluster.local import local_workers
from snapq.cluster.remote import About

__all__ = ["connected", "current", "each", "side_by_side"]

S = TypeVar("S")
T = TypeVar("T")

_MOST_THREADS = 64

_stack: list[Cluster] = []
_thread = threading.local()


def current() -> Cluster | None:
    """The cluster of the innermost `connected` block; None where there is none."""
    return _stack[-1] if _stack and _stack[-1].usable else None


@contextmanager
def connected(text: str, about: About, say: Callable[[str], None]) -> Iterator[Cluster]:
    """Sends simulations, compilations and trials to a cluster while the block runs.

    Args:
        text: `dask://HOST:PORT`, `tls://HOST:PORT`, `local:4` or `local`.
        about: what results depend on beside their inputs.
        say: told what the user should know.

    Raises:
        ConfigError: `text` is no cluster.
        InstallError: dask.distributed is missing.
        ClusterError: the cluster cannot be reached, or does not fit.
    """
    address = parse(text)
    library()
    if address.scheduler is None:
        say(f"Cluster: starting {address} on this machine")
        with (
            local_workers(address.workers) as scheduler,
            _used(Cluster(scheduler, about, say, address.workers)) as cluster,
        ):
            yield cluster
        return
    with _used(Cluster(address.scheduler, about, say)) as cluster:
        yield cluster


def side_by_side() -> bool:
    """Whether this is one of several pieces of work that `each` does at once."""
    return getattr(_thread, "side_by_side", False)


def each(work: Callable[[S], T], items: Sequence[S]) -> Iterator[T]:
    """What `work` makes of each item, in order: one after the other, or at once on a cluster.

    Whatever ends this early takes back what was handed to the cluster.
    """
    cluster = current()
    if cluster is None or len(items) < 2:
        yield from map(work, items)
        return

    def apart(item: S) -> T:
        _thread.side_by_side = True
        return work(item)

    # Two a task that runs at once: what each works on is held in memory.
    threads = ThreadPoolExecutor(min(len(items), 2 * cluster.slots, _MOST_THREADS))
    try:
        futures = [threads.submit(apart, item) for item in items]
        for future in futures:
            yield future.result()
    except BaseException:
        threads.shutdown(wait=False, cancel_futures=True)
        cluster.cancel_all()
        raise
    finally:
        threads.shutdown(wait=True)


@contextmanager
def _used(cluster: Cluster) -> Iterator[Cluster]:
    with cluster:
        _stack.append(cluster)
        try:
            yield cluster
        finally:
            _stack.remove(cluster)
