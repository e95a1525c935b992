"""Inference on Qualcomm's NPU simulator: values exact for the architecture, never a time.

Feeds stream through worker processes, each with a session of its own; results come in order and
are the same for any number of workers. At most two feeds a worker are held at a time. Where a
cluster is connected, its workers do it (`on_cluster`).
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

from snapq.cluster.current import current, side_by_side
from snapq.devices.profiles import DeviceProfile
from snapq.errors import QnnError
from snapq.npu.qnn import model_files, on_cluster, sessions, tasks
from snapq.npu.qnn.feeds import Feed, Outputs, check_feed
from snapq.npu.qnn.model_files import ModelFiles
from snapq.npu.qnn.options import DEFAULTS, CompileOptions
from snapq.npu.qnn.tasks import Input
from snapq.npu.qnn.workers import WorkerPool, worker_pool
from snapq.progress import Advance
from snapq.runtime import processors
from snapq.workers.pool import Worker

_HELD_PER_WORKER = 2


def simulate(
    model: Path,
    device: DeviceProfile,
    feeds: Iterable[Feed],
    *,
    workers: int | None = None,
    options: CompileOptions = DEFAULTS,
    allow_cpu: bool = False,
    progress: Advance | None = None,
) -> Iterator[Outputs]:
    """Runs a model on the simulator of a device's NPU; all else is as `npu.Model.simulate` says.

    Args:
        model: an ONNX model with fixed shapes, Q/DQ, float or compiled (`model_ctx.onnx`).
        device: whose arithmetic to use; for a compiled model the one it was compiled for.
        feeds: for each inference an array for each input.
        workers: processes; one a processor where not given. More are not started than feeds come.
        options: how to compile a model that is not compiled yet, with fp16 where it is float.
        allow_cpu: let nodes that the NPU refuses run on the CPU.
        progress: told after each inference.
    """
    request, files = _request(model, device, options, allow_cpu=allow_cpu)
    cluster = current()
    # What one worker does as fast as several goes away only where others are busy beside it.
    if cluster is not None and (workers is None or side_by_side()):
        return on_cluster.stream(cluster, files, request, feeds, progress, shards=workers)
    count = workers or processors()
    return _stream(request, feeds, count, progress)


@contextmanager
def simulator(
    model: Path, device: DeviceProfile, *, options: CompileOptions = DEFAULTS
) -> Iterator[Callable[[Feed], Outputs]]:
    """A function that runs one feed on the simulator, for feeds that depend on earlier outputs.

    Arguments and errors are those of `simulate`; there is one worker, which ends with the block.
    """
    request, _ = _request(model, device, options, allow_cpu=False)
    with worker_pool() as pool:
        simulators = _Simulators(pool, request, 1)
        count = itertools.count()
        yield lambda feed: simulators.run(next(count), dict(feed))


def _request(
    model: Path, device: DeviceProfile, options: CompileOptions, *, allow_cpu: bool
) -> tuple[sessions.Request, ModelFiles]:
    files = model_files.read(model)
    model_files.check_compilable(files, fp16=options.fp16)
    if files.container:
        raise QnnError(
            "The simulator cannot load a container for several SoCs (QAIRT crashes on it).",
            where=str(model),
            hint="Simulate what was compiled for one device.",
        )
    return sessions.request(files.path, device, options, allow_cpu=allow_cpu), files


def _stream(
    request: sessions.Request, feeds: Iterable[Feed], count: int, progress: Advance | None
) -> Iterator[Outputs]:
    with ThreadPoolExecutor(count) as threads, worker_pool() as pool:
        simulators = _Simulators(pool, request, count)
        pending: deque[Future[Outputs]] = deque()
        try:
            for index, feed in enumerate(feeds):
                pending.append(threads.submit(simulators.run, index, dict(feed)))
                if len(pending) >= _HELD_PER_WORKER * count:
                    yield _finish(pending, progress)
            while pending:
                yield _finish(pending, progress)
        finally:
            for future in pending:
                future.cancel()


def _finish(pending: deque[Future[Outputs]], progress: Advance | None) -> Outputs:
    outputs = pending.popleft().result()
    if progress:
        progress(1)
    return outputs


class _Simulators:
    """Workers with a session each, started as they are needed and used in turn."""

    def __init__(self, pool: WorkerPool, request: sessions.Request, count: int) -> None:
        self._pool = pool
        self._request = request
        self._idle: SimpleQueue[tuple[Worker, tuple[Input, ...]] | None] = SimpleQueue()
        for _ in range(count):
            self._idle.put(None)  # room for a worker that is yet to start

    def run(self, index: int, feed: Outputs) -> Outputs:
        """Runs one feed on a worker that is free; there is one a thread."""
        place = self._idle.get()
        try:
            place = place or self._start()
            worker, inputs = place
            check_feed(feed, inputs, index)
            outputs: Outputs = worker.request(feed)
            return outputs
        finally:
            self._idle.put(place)

    def _start(self) -> tuple[Worker, tuple[Input, ...]]:
        worker = self._pool.start()
        worker.serve(tasks.simulator, self._request)
        inputs: tuple[Input, ...] = worker.request(None)
        return worker, inputs
