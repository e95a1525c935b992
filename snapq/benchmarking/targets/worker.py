"""A child process that holds one model on the CPU: the child's side (`process` is the host's).

Run as `python -m snapq.benchmarking.targets.worker`. Requests come over standard input and answers
go over standard output, pickled; only the process that started this one can reach either.
"""

from __future__ import annotations

import gc
import os
import pickle
import queue
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from snapq.cpu import CpuModel
from snapq.errors import DataError, ModelError, SnapqError

if TYPE_CHECKING:
    import onnxruntime

_REASON = 300
"""Characters of ONNX Runtime's message that an error shows."""


class Worker:
    """The requests that the host can make, one method each."""

    def __init__(self) -> None:
        self._session: onnxruntime.InferenceSession | None = None
        self._outputs: list[str] = []
        self._feeds: dict[str, np.ndarray] = {}
        self._label = ""

    def load(self, label: str, model: Path, threads: int) -> float:
        """Opens the model; returns how long that took in ms."""
        self._label = label
        started = time.perf_counter_ns()
        self._session = CpuModel(model, threads=threads).session
        elapsed = _ms(started)
        self._outputs = [output.name for output in self._session.get_outputs()]
        return elapsed

    def feed(self, feeds: Mapping[str, np.ndarray]) -> float:
        """Takes the input of all later turns and runs it once; returns the time of that in ms."""
        self._feeds = {name: np.ascontiguousarray(array) for name, array in feeds.items()}
        started = time.perf_counter_ns()
        self.run(self._feeds)
        return _ms(started)

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs one sample."""
        assert self._session is not None
        try:
            outputs = self._session.run(self._outputs, dict(feeds))
        except Exception as error:
            reason = " ".join(str(error).split())[:_REASON]
            kind = DataError if "feed" in reason or "INVALID_ARGUMENT" in reason else ModelError
            raise kind(f"ONNX Runtime could not run it: {reason}", where=self._label) from error
        return dict(zip(self._outputs, outputs, strict=True))

    def turn(self, runs: int, settle: int) -> list[float]:
        """Runs `settle` times untimed, then `runs` times; returns the times in ms."""
        assert self._session is not None
        session, outputs, feeds = self._session, self._outputs, self._feeds
        for _ in range(settle):
            session.run(outputs, feeds)
        samples = []
        gc.disable()
        for _ in range(runs):
            started = time.perf_counter_ns()
            session.run(outputs, feeds)
            samples.append(_ms(started))
        gc.enable()
        return samples

    def usage(self) -> tuple[int, float]:
        """The most memory that this process ever held, in bytes, and its processor time in s."""
        return peak_rss_bytes(), time.process_time()


def peak_rss_bytes() -> int:
    """The most memory that this process ever held, in bytes.

    Linux counts in `ru_maxrss` what the parent held before exec, so `VmHWM` is read there.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import psutil

    memory = psutil.Process().memory_info()
    return int(getattr(memory, "peak_wset", memory.rss))


def _ms(started_ns: int) -> float:
    return (time.perf_counter_ns() - started_ns) / 1e6


def _listen(requests: queue.SimpleQueue[Any], source: BinaryIO) -> None:
    """Queues requests, and ends the process, in the middle of a run too, when the host is gone."""
    while True:
        try:
            requests.put(pickle.load(source))
        except Exception:
            os._exit(1)


def main() -> None:
    """Answers requests until the host closes the pipe."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what native libraries print must not fall between the answers
    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests, sys.stdin.buffer), daemon=True).start()
    worker = Worker()
    while True:
        name, arguments = requests.get()
        try:
            answer = getattr(worker, name)(*arguments)
        except SnapqError as error:
            answer = error
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    main()
