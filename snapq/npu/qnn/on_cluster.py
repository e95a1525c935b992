"""Simulations on the workers of a cluster: samples in shards, in order, the same values.

A model and each sample are named by their content and travel once. A worker keeps the session of a
model open from one shard to the next.
"""

from __future__ import annotations

import pickle
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snapq.cluster.bench import Bench
from snapq.cluster.connection import Cluster, Ticket
from snapq.cluster.store import File
from snapq.npu.qnn import sessions, tasks, workers
from snapq.npu.qnn.feeds import Feed, Outputs, check_feed
from snapq.npu.qnn.model_files import ModelFiles
from snapq.progress import Advance
from snapq.storage import fingerprint
from snapq.workers.pool import Worker

__all__ = ["Packed", "lay_out", "pack", "stream"]

_HELD_PER_SLOT = 2
_MOST_SAMPLES = 16
_MOST_BYTES = 1 << 25
"""Of the samples of a shard."""
_SHARD_S = 1.0
"""What a shard shall take, so that handing it out costs little."""


@dataclass(frozen=True)
class Packed:
    """A model by the content of its files, under their names in its folder; it comes first."""

    files: tuple[tuple[str, File], ...]

    @property
    def contents(self) -> tuple[File, ...]:
        """What has to be in the store of a worker."""
        return tuple(file for _, file in self.files)


def pack(cluster: Cluster, files: ModelFiles) -> Packed:
    """Names a model's files by their content. Raises `StorageError`."""
    root = files.path.parent
    return Packed(
        tuple((path.relative_to(root).as_posix(), cluster.file(path)) for path in files.all_paths())
    )


def lay_out(bench: Bench, model: Packed, folder: Path) -> Path:
    """Makes a model appear in `folder` of a worker. Raises `StorageError`."""
    for name, file in model.files:
        bench.lay_out(file, folder / name)
    return folder / model.files[0][0]


def stream(
    cluster: Cluster,
    files: ModelFiles,
    request: sessions.Request,
    feeds: Iterable[Feed],
    progress: Advance | None,
    shards: int | None = None,
) -> Iterator[Outputs]:
    """Simulates `feeds` on the cluster; all else is as `npu.Model.simulate` says.

    With `shards=1` they are so few that all go to one worker.

    At most two shards a task that runs at once are held at a time.
    """
    model = pack(cluster, files)
    request = replace(request, model="")  # where it lies here is nobody's business
    pending: deque[_Shard] = deque()
    size, start, taken = _MOST_SAMPLES if shards == 1 else 1, 0, iter(feeds)
    try:
        while True:
            shard = _next(cluster, taken, size)
            if shard:
                ticket = cluster.submit(
                    simulate_shard, model, request, start, shard, files=(*model.contents, *shard)
                )
                pending.append(_Shard(ticket, shard))
                start += len(shard)
            while pending and (not shard or len(pending) > _HELD_PER_SLOT * cluster.slots):
                done = pending.popleft()
                found, seconds = done.ticket.result()
                cluster.forget(done.files)
                size = max(1, min(_MOST_SAMPLES, int(_SHARD_S * len(found) / max(seconds, 1e-3))))
                for outputs in found:
                    if progress:
                        progress(1)
                    yield outputs
            if not shard:
                return
    finally:
        for left in pending:
            left.ticket.cancel()
            cluster.forget(left.files)


@dataclass(frozen=True)
class _Shard:
    ticket: Ticket
    files: tuple[File, ...]


def _next(cluster: Cluster, feeds: Iterator[Feed], count: int) -> tuple[File, ...]:
    """The next samples, by their content; none at the end."""
    shard: list[File] = []
    while len(shard) < count and sum(file.size for file in shard) < _MOST_BYTES:
        feed = next(feeds, None)
        if feed is None:
            break
        shard.append(cluster.data(pickle.dumps(dict(feed), protocol=pickle.HIGHEST_PROTOCOL)))
    return tuple(shard)


class _Simulator:
    """A session in a process of its own, on the worker."""

    def __init__(self, bench: Bench, model: Packed, request: sessions.Request) -> None:
        self.worker: Worker = bench.owns(workers.Worker())
        staged = lay_out(bench, model, self.worker.scratch / "model")
        self.worker.serve(tasks.simulator, replace(request, model=str(staged)))
        self.inputs: tuple[tasks.Input, ...] = self.worker.request(None)
        bench.releases(self.worker)

    def close(self) -> None:
        """Ends the process."""
        self.worker.close()


def simulate_shard(
    bench: Bench, model: Packed, request: sessions.Request, start: int, shard: Sequence[File]
) -> tuple[list[Outputs], float]:
    """Simulates some samples, the first of which is number `start`; and the seconds it took."""
    key = fingerprint([[(name, file.sha256) for name, file in model.files], vars(request)])
    found = []
    with bench.held(key, lambda: _Simulator(bench, model, request)) as simulator:
        begun = time.monotonic()
        for index, file in enumerate(shard):
            feed: dict[str, Any] = pickle.loads(bench.read(file))
            check_feed(feed, simulator.inputs, start + index)
            found.append(simulator.worker.request(feed))
        return found, time.monotonic() - begun
