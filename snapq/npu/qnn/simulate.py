"""Inference on Qualcomm's NPU simulator: values exact for the architecture, never a time.

Feeds stream through worker processes, each with a session of its own; results come in order and
are the same for any number of workers. At most two feeds a worker are held at a time.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from snapq.devices.profiles import DeviceProfile
from snapq.errors import DataError, QnnError, nearest
from snapq.npu.qnn import model_files, sessions, tasks
from snapq.npu.qnn.options import DEFAULTS, CompileOptions
from snapq.npu.qnn.tasks import Input
from snapq.npu.qnn.workers import WorkerPool, worker_pool
from snapq.progress import Advance
from snapq.runtime import processors
from snapq.workers.pool import Worker

Feed = Mapping[str, np.ndarray]
Outputs = dict[str, np.ndarray]

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
    request = _request(model, device, options, allow_cpu=allow_cpu)
    count = workers or processors()
    return _stream(request, feeds, count, progress)


@contextmanager
def simulator(
    model: Path, device: DeviceProfile, *, options: CompileOptions = DEFAULTS
) -> Iterator[Callable[[Feed], Outputs]]:
    """A function that runs one feed on the simulator, for feeds that depend on earlier outputs.

    Arguments and errors are those of `simulate`; there is one worker, which ends with the block.
    """
    request = _request(model, device, options, allow_cpu=False)
    with worker_pool() as pool:
        simulators = _Simulators(pool, request, 1)
        count = itertools.count()
        yield lambda feed: simulators.run(next(count), dict(feed))


def _request(
    model: Path, device: DeviceProfile, options: CompileOptions, *, allow_cpu: bool
) -> sessions.Request:
    files = model_files.read(model)
    model_files.check_compilable(files, fp16=options.fp16)
    if files.container:
        raise QnnError(
            "The simulator cannot load a container for several SoCs (QAIRT crashes on it).",
            where=str(model),
            hint="Simulate what was compiled for one device.",
        )
    return sessions.request(files.path, device, options, allow_cpu=allow_cpu)


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
            _check(feed, inputs, index)
            outputs: Outputs = worker.request(feed)
            return outputs
        finally:
            self._idle.put(place)

    def _start(self) -> tuple[Worker, tuple[Input, ...]]:
        worker = self._pool.start()
        worker.serve(tasks.simulator, self._request)
        inputs: tuple[Input, ...] = worker.request(None)
        return worker, inputs


def _check(feed: Outputs, inputs: tuple[Input, ...], index: int) -> None:
    """Refuses a feed that is not exactly what the model takes."""
    where = f"sample {index}"
    known = {value.name: value for value in inputs}
    for name in feed:
        if name not in known:
            close = nearest(name, known)
            raise DataError(
                f"The model has no input {name!r}; it has {', '.join(known)}.",
                where=where,
                hint=f"Did you mean {close!r}?" if close else None,
            )
    for name, value in known.items():
        array = feed.get(name)
        if array is None:
            raise DataError(f"The input {name!r} is missing.", where=where, hint="Give it.")
        if not isinstance(array, np.ndarray) or array.dtype.name != value.dtype:
            found = array.dtype.name if isinstance(array, np.ndarray) else type(array).__name__
            raise DataError(
                f"The input {name!r} takes {value.dtype}, not {found}.",
                where=where,
                hint=f"Convert it with astype('{value.dtype}').",
            )
        if array.shape != value.shape:
            raise DataError(
                f"The input {name!r} takes shape {_shown(value.shape)}, not {_shown(array.shape)}.",
                where=where,
                hint="Give one sample of this shape.",
            )


def _shown(shape: tuple[int | str | None, ...]) -> str:
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"
