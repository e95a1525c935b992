"""The target `local`: this machine's CPU through ONNX Runtime.

Every model lives in a child process of its own, so that memory and state are its own, and one host
gives the turns, so that only one computes at a time. A round goes A B, the next B A: what drifts
(clock, temperature, neighbours) reaches both alike. Every repeat starts all processes afresh in
reverse order, because where a process happens to lie in memory makes it some percent faster or
slower for as long as it lives.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from snapq.benchmarking.machine import disturbances, read
from snapq.benchmarking.targets.base import Candidate, Measurement, Progress
from snapq.benchmarking.targets.golden_answers import judged, worst
from snapq.benchmarking.targets.local_records import Timed, local_records
from snapq.benchmarking.targets.results import (
    check_labels,
    measurement_of,
    parts_of,
    rows_of,
    with_batches,
)
from snapq.benchmarking.targets.timed_model import RowsAsked, TimedModel, Turn
from snapq.benchmarking.targets.verdict import with_verdicts
from snapq.bundle.golden_rows import GoldenRows, golden_rows
from snapq.bundle.read import Bundle
from snapq.config import BenchmarkConfig
from snapq.errors import ConfigError
from snapq.progress import Progress as Reporter
from snapq.records import Origin

_ROUNDS = 50
"""Rounds that a benchmark is cut into, as far as `min_runs` gives each a run: short turns spread
what disturbs the machine over all candidates, and the bootstrap draws from the rounds."""
_SETTLE = 1
"""Untimed runs at the start of a turn: the caches still hold the other candidate."""


@dataclass(frozen=True)
class LocalTarget:
    """ONNX Runtime on this machine's CPU."""

    names: ClassVar = {"local": "this machine's CPU"}
    timeout_s: float = 600.0
    """How long a child may take to load a model or to run it once."""
    name: str = "local"
    where: Origin = Origin.MEASURED

    @classmethod
    def named(cls, name: str, _reporter: Reporter) -> LocalTarget | None:
        """Answers to `local`."""
        return cls() if name == "local" else None

    def check(self, protocol: BenchmarkConfig) -> None:
        """Refuses what this machine's CPU has not. Raises `ConfigError`."""
        if protocol.baseline == "fp16" or (protocol.allow and "cpu" not in protocol.allow):
            key = "baseline" if protocol.baseline == "fp16" else "allow"
            raise ConfigError(
                "This machine's CPU is no NPU.",
                where=f"benchmark.{key}",
                hint="Name a board as the target, or leave this key out.",
            )

    def measure(
        self,
        candidates: Sequence[Candidate],
        protocol: BenchmarkConfig,
        progress: Progress | None = None,
    ) -> Measurement:
        """Times the candidates until each has `min_runs` runs and `min_duration_s` of them.

        Raises:
            ConfigError: no candidates, or two with one label.
            SnapqError: a model or an input is refused, or a child fails.
        """
        self.check(protocol)
        check_labels([one.label for one in candidates])
        tallies = [_Tally(candidate, protocol) for candidate in candidates]

        def advance() -> None:
            if progress is not None:
                progress(min(1.0, *(tally.share() for tally in tallies)))

        before = read()
        for repeat in range(protocol.repeats):
            if repeat:
                time.sleep(protocol.cooldown_s)
            order = tallies if repeat % 2 == 0 else tallies[::-1]
            _take_turns(order, (repeat + 1) / protocol.repeats, self.timeout_s, advance)
        after = read()
        spent_s = sum(tally.processor_s for tally in tallies)
        disturbed = tuple(disturbances(before, after, spent_s))
        timed = [_timed(tally) for tally in tallies]
        records = local_records(timed, protocol, disturbed)
        records = with_batches(records, [one.batch for one in candidates])
        return measurement_of(with_verdicts(records, candidates))


@dataclass
class _Tally:
    """What one candidate has done, over both of its processes."""

    candidate: Candidate
    protocol: BenchmarkConfig
    turns: list[list[float]] = field(default_factory=list)
    create_ms: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    encode_ms: list[list[float]] = field(default_factory=list)
    decode_ms: list[list[float]] = field(default_factory=list)
    answers: list[dict[str, dict[str, Any]]] = field(default_factory=list)
    """Of each process, how a classical model answered its golden rows."""
    peak_rss_bytes: int = 0
    processor_s: float = 0.0
    runs: int = 0
    """Runs in a turn; 0 before the first warm-up has told how long one takes."""

    def share(self) -> float:
        """How much of what the protocol asks for is there; 1 or more is enough."""
        runs = sum(map(len, self.turns)) / self.protocol.min_runs
        if self.protocol.min_duration_s == 0:
            return runs
        return min(runs, sum(map(sum, self.turns)) / 1000 / self.protocol.min_duration_s)

    @cached_property
    def rows(self) -> GoldenRows | None:
        """The golden rows of a classical model."""
        bundle = self.candidate.answers_of
        if bundle is None:
            return None
        opened = Bundle.open(bundle)
        if not self.has_host:
            return golden_rows(opened, None)
        told = (entry.answers for entry in opened.manifest.devices if entry.answers)
        return golden_rows(opened, next(told, ()))

    @property
    def has_host(self) -> bool:
        """Whether head and tail stand around the model."""
        return self.candidate.answers_of is not None and self.candidate.bundle is not None

    @property
    def asked(self) -> RowsAsked | None:
        """What a classical model is asked."""
        bundle, rows = self.candidate.answers_of, self.rows
        if bundle is None:
            return None
        return RowsAsked(
            bundle.absolute(),
            () if rows is None else rows.files,
            self.has_host,
        )


class _Seat:
    """A candidate's child process, which is ready for turns."""

    def __init__(self, tally: _Tally, model: TimedModel) -> None:
        self._tally = tally
        self._model = model
        protocol = tally.protocol
        tally.create_ms.append(model.create_ms)
        tally.first_ms.append(model.feed(tally.candidate.feeds))
        tally.answers.append(model.answers())
        warm = self._ask_turn(protocol.warmup, 0).ms if protocol.warmup else tally.first_ms
        # Both processes of a candidate take turns of one length: samples make a full array.
        tally.runs = tally.runs or max(
            math.ceil(protocol.min_runs / _ROUNDS),
            math.ceil(protocol.min_duration_s / _ROUNDS / (float(np.median(warm)) / 1000)),
        )

    def turn(self) -> None:
        """Runs for a while."""
        turn = self._ask_turn(self._tally.runs, _SETTLE)
        self._tally.turns.append(turn.ms)
        if turn.encode_ms:
            self._tally.encode_ms.append(turn.encode_ms)
            self._tally.decode_ms.append(turn.decode_ms)

    def leave(self) -> None:
        """Writes down what the process used."""
        peak, processor_s = self._model.usage()
        self._tally.peak_rss_bytes = max(self._tally.peak_rss_bytes, peak)
        self._tally.processor_s += processor_s

    def _ask_turn(self, runs: int, settle: int) -> Turn:
        expected_s = (runs + settle) * self._tally.first_ms[-1] / 1000
        return self._model.turn(runs, settle, expected_s)


def _take_turns(
    tallies: Sequence[_Tally], goal: float, timeout_s: float, advance: Callable[[], None]
) -> None:
    """Starts a process a candidate, in this order, and gives turns until each share is `goal`."""
    with ExitStack() as stack:
        seats = []
        for tally in tallies:
            label, model = tally.candidate.label, tally.candidate.model
            opened = TimedModel(label, model, tally.protocol.threads, timeout_s, tally.asked)
            seats.append(_Seat(tally, stack.enter_context(opened)))
        while any(tally.share() < goal for tally in tallies):
            for seat in seats:
                seat.turn()
            seats.reverse()
            advance()
        for seat in seats:
            seat.leave()


def _timed(tally: _Tally) -> Timed:
    return Timed(
        label=tally.candidate.label,
        model=tally.candidate.model,
        samples=np.array(tally.turns),
        create_ms=float(np.median(tally.create_ms)),
        first_ms=float(np.median(tally.first_ms)),
        peak_rss_bytes=tally.peak_rss_bytes,
        rows=rows_of(tally.candidate),
        has_host=tally.has_host,
        parts=parts_of(np.array(tally.turns), tally.encode_ms, tally.decode_ms),
        answers=tuple(judged(worst(tally.answers), tally.rows)),
    )
