"""A model in a process of its own, to be timed: the caller's side, and what runs in the worker."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snapq.boards.onboard.agent.rows import RowsModel
from snapq.boards.onboard.agent.wire import FailedError
from snapq.bundle import snapq_io
from snapq.classical import program
from snapq.classical.program.answers import Answers
from snapq.cpu import CpuModel
from snapq.errors import DataError, DeviceError, ModelError
from snapq.workers.pool import Wording, Worker

_REASON = 300
"""Characters of ONNX Runtime's message that an error shows."""


@dataclass(frozen=True)
class RowsAsked:
    """What a classical model is asked.

    Attributes:
        bundle: the folder with golden rows, and with head and tail.
        files: paths of golden rows inside of it.
        has_host: whether head and tail stand around the model.
    """

    bundle: Path
    files: tuple[str, ...]
    has_host: bool


@dataclass(frozen=True)
class Turn:
    """Times of runs in ms, and of a classical package what head and tail took of each."""

    ms: list[float]
    encode_ms: list[float]
    decode_ms: list[float]


class TimedModel(Worker):
    """A process that holds one model on the CPU.

    Args:
        label: of the model, for messages.
        model: its file.
        threads: intra-op threads.
        timeout_s: how long the process may take to load the model or to run it once.
        asked: of a classical model, what else there is to do.

    Raises:
        ModelError: ONNX Runtime does not accept the model.
        DeviceError: the process ended, or did not answer in time.
    """

    def __init__(
        self,
        label: str,
        model: Path,
        threads: int,
        timeout_s: float,
        asked: RowsAsked | None = None,
    ) -> None:
        super().__init__(_wording(label))
        self.timeout_s = timeout_s
        try:
            self.serve(_hold, label, model.absolute(), threads, asked, timeout_s=timeout_s)
            self.create_ms: float = self.request(("created",), timeout_s=timeout_s)
            """How long it took to open the model."""
        except BaseException:
            self.close()
            raise

    def feed(self, feeds: Mapping[str, np.ndarray]) -> float:
        """Takes the input of all later turns and runs it once; returns the time of that in ms."""
        first_ms: float = self.request(("feed", dict(feeds)), timeout_s=self.timeout_s)
        return first_ms

    def answers(self) -> dict[str, dict[str, Any]]:
        """By output, how the answers to the golden rows compare with ONNX Runtime's."""
        said: dict[str, dict[str, Any]] = self.request(("answers",), timeout_s=self.timeout_s)
        return said

    def turn(self, runs: int, settle: int, expected_s: float) -> Turn:
        """Runs `settle` times untimed, then `runs` times."""
        limit = self.timeout_s + 10 * expected_s
        times: dict[str, list[float]] = self.request(("turn", runs, settle), timeout_s=limit)
        return Turn(times["ms"], times.get("encode_ms", []), times.get("decode_ms", []))

    def usage(self) -> tuple[int, float]:
        """The most memory that the process ever held, in bytes, and its processor time in s."""
        used: tuple[int, float] = self.request(("usage",), timeout_s=self.timeout_s)
        return used


def _wording(label: str) -> Wording:
    return Wording(
        subject="The process that runs this model",
        error=DeviceError,
        crash_hint="Check the free memory, and that `snapq doctor` finds no fault.",
        timeout_hint="Try again when the machine is less busy, or with a smaller model.",
        explain=lambda text, _log: DeviceError(text, where=label),
        where=label,
    )


def _hold(
    label: str, model: Path, threads: int, asked: RowsAsked | None
) -> Callable[[tuple[Any, ...]], Any]:
    """Runs in the worker: opens the model, and answers requests by name."""
    held = _Held(label, model, threads, asked)
    return lambda request: getattr(held, request[0])(*request[1:])


class _Held:
    """The requests that the caller can make, one method each."""

    def __init__(self, label: str, model: Path, threads: int, asked: RowsAsked | None) -> None:
        self._label = label
        self._asked = asked
        started = time.perf_counter_ns()
        self._model = CpuModel(model, threads=threads)
        self._created_ms = _ms(started)
        self._feeds: dict[str, np.ndarray] = {}
        package = None
        if asked is not None and asked.has_host:
            sys.modules.setdefault("snapq_program", program)  # as beside the helper in a bundle
            package = snapq_io.load(asked.bundle)
        self._rows = RowsModel(lambda feeds: dict(self._model.run(feeds)), package)

    def created(self) -> float:
        return self._created_ms

    def feed(self, feeds: Mapping[str, np.ndarray]) -> float:
        self._feeds = {name: np.asarray(array, order="C") for name, array in feeds.items()}
        started = time.perf_counter_ns()
        try:
            self._rows.answer(self._feeds)
        except FailedError as error:
            raise ModelError(error.args[0], where=self._label) from error
        except ModelError as error:
            fits = "feed" not in error.what and "INVALID_ARGUMENT" not in error.what
            kind = ModelError if fits else DataError
            raise kind(error.what[:_REASON], where=self._label) from error
        return _ms(started)

    def answers(self) -> dict[str, dict[str, Any]]:
        if self._asked is None:
            return {}
        found = Answers()
        try:
            for path in self._asked.files:
                self._rows.compare(self._asked.bundle / path, found)
        except FailedError as error:
            raise ModelError(error.args[0], where=self._label) from error
        return dict(found.plain())

    def turn(self, runs: int, settle: int) -> dict[str, list[float]]:
        if self._rows.package is not None:
            return self._rows.turn(self._feeds, runs, settle)
        # The session itself: what is around it would be measured too.
        session, outputs, feeds = self._model.session, self._model.outputs, self._feeds
        for _ in range(settle):
            session.run(outputs, feeds)
        samples = []
        gc.disable()
        for _ in range(runs):
            started = time.perf_counter_ns()
            session.run(outputs, feeds)
            samples.append(_ms(started))
        gc.enable()
        return {"ms": samples}

    def usage(self) -> tuple[int, float]:
        return _peak_rss_bytes(), time.process_time()


def _peak_rss_bytes() -> int:
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
