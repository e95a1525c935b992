"""Drives the agent: pushes what it needs, listens to it, and gathers what it found."""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from snapq.boards.inventory import Board
from snapq.boards.session import answers
from snapq.boards.session.fallbacks import exhausted
from snapq.boards.session.load import FEEDS, Load
from snapq.boards.session.patience import Patience
from snapq.boards.session.program import ROOT, ask, run
from snapq.boards.session.push import push
from snapq.boards.transports.base import Transport
from snapq.boards.user import user_name
from snapq.config import BenchmarkConfig
from snapq.errors import DeviceError, SnapqError
from snapq.progress import Progress

_PROTOCOL = {"warmup", "min_runs", "min_duration_s", "threads", "repeats", "cooldown_s"}


@dataclass(frozen=True)
class Limits:
    """How long things may take, in seconds."""

    step_s: float = 900.0
    """One step of one model: to load and compile it, or to take a turn."""
    silence_s: float = 30.0
    """Both sides show every two seconds that they live; who hears nothing for so long gives up."""
    wait_s: float = 600.0
    """For somebody else's measurement to end."""


@dataclass
class Found:
    """What the agent found about one model."""

    label: str
    fallback: str = ""
    skipped: list[answers.Fallback] = field(default_factory=list)
    loads: list[answers.Loaded] = field(default_factory=list)
    turns: list[list[float]] = field(default_factory=list)
    encode_ms: list[list[float]] = field(default_factory=list)
    """Of each run, what the head of a classical model took."""
    decode_ms: list[list[float]] = field(default_factory=list)
    rss_peak: int = 0
    processor_s: float = 0.0

    @property
    def samples(self) -> np.ndarray:
        """Latencies in ms, `[rounds, runs in a turn]`, in the order in which they were taken."""
        return np.array(self.turns)


@dataclass
class Session:
    """What the agent found in one measurement."""

    models: dict[str, Found]
    conditions: list[answers.Conditions] = field(default_factory=list)
    sent_bytes: int = 0
    seconds: float = 0.0
    """How long all of it took, by the host's clock."""


@dataclass(frozen=True)
class ReadyBoard:
    """A board that is connected and set up.

    Attributes:
        transport: the open connection.
        board: what the user says of it.
        environment: folder of the agent's libraries on it; None where its own Python has them.
        progress: shows pushes, and whom the board waits for.
        limits: how long the board may take.
    """

    transport: Transport
    board: Board
    environment: str | None
    progress: Progress
    limits: Limits

    @property
    def address(self) -> str:
        """The board as the user named it."""
        return self.transport.address


def measure(
    ready: ReadyBoard,
    loads: Sequence[Load],
    protocol: BenchmarkConfig,
    share: Callable[[float], None] | None = None,
    settle: int = 1,
) -> Session:
    """Measures models on a board, interleaved.

    Args:
        ready: the board.
        loads: the models.
        protocol: how often and how long they run.
        share: called with the share that is done, 0 to 1; with 0 when the board begins, after all
            that was pushed.
        settle: untimed runs before each turn of a model.

    Raises:
        DeviceError: the board cannot do it, is in use, or answers nonsense.
        ConnectionLostError: the connection broke.
        SnapqError: as `push`.
    """
    found = Session({load.label: Found(load.label) for load in loads})
    names = {load.label: {fallback.name for fallback in load.fallbacks} for load in loads}
    started = time.monotonic()

    def take(said: Any) -> None:
        match said:
            case answers.Fallback():
                model = _model(found, said.label, ready.address)
                _note_fallback(model, said, names[said.label], ready.address)
            case answers.Loaded():
                _model(found, said.label, ready.address).loads.append(said)
            case answers.Turn():
                _note_turn(_model(found, said.label, ready.address), said)
            case answers.Usage():
                model = _model(found, said.label, ready.address)
                model.rss_peak = max(model.rss_peak, said.rss_peak)
                model.processor_s += said.processor_s
            case answers.Conditions():
                if said.when == "before" and share is not None:
                    share(0.0)
                found.conditions.append(said)
            case answers.Exhausted():
                model = _model(found, said.label, ready.address)
                load = next(load for load in loads if load.label == said.label)
                raise exhausted(load, model.skipped, ready.address)
            case answers.Progress() if share is not None:
                share(said.share)

    job = {
        "action": "measure",
        "protocol": protocol.model_dump(mode="json", include=_PROTOCOL),
        "settle": settle,
    }
    found.sent_bytes = _push_and_run(ready, loads, protocol, job, take)
    for model in found.models.values():
        lengths = {len(turn) for turn in model.turns}
        if len(lengths) != 1 or not model.loads or not model.fallback:
            raise DeviceError(
                "The board's results are incomplete.", where=f"{ready.address}: {model.label}"
            )
    found.seconds = time.monotonic() - started
    return found


def _note_turn(model: Found, said: answers.Turn) -> None:
    model.turns.append(said.ms)
    if said.encode_ms:
        model.encode_ms.append(said.encode_ms)
        model.decode_ms.append(said.decode_ms)


def _note_fallback(model: Found, said: answers.Fallback, sent: set[str], address: str) -> None:
    if said.fallback not in sent:
        raise DeviceError("The board speaks of a fallback that was not sent.", where=address)
    if said.taken:
        model.fallback = said.fallback
    else:
        model.skipped.append(said)


def _push_and_run(
    ready: ReadyBoard,
    loads: Sequence[Load],
    protocol: BenchmarkConfig,
    job: Mapping[str, Any],
    take: Callable[[Any], None],
) -> int:
    """Pushes and runs the agent; pushes once more where it finds damaged files."""
    sent = 0
    for attempt in range(2):
        folders = {}
        for load in loads:
            pushed = push(
                ready.transport, load.files, ready.progress, python=ready.board.setup.python
            )
            sent += pushed.sent_bytes
            folders[load.label] = pushed.folder
        candidates = [_candidate(load, folders[load.label]) for load in loads]
        patience = Patience(
            *(ready.address, protocol, ready.limits.step_s, ready.limits.wait_s),
            tries=sum(len(load.fallbacks) for load in loads),
        )
        damaged = _run_agent(ready, {**job, "candidates": candidates}, patience, take)
        if not damaged:
            return sent
        if attempt == 0:
            ready.progress.say(
                f"{ready.address}: {', '.join(damaged[:3])} changed on the board since the "
                "push; sending it again."
            )
    raise DeviceError(
        f"Files change on the board after the push: {', '.join(damaged[:3])}.",
        where=ready.address,
        hint="Check the board's disk, and who else writes to ~/.snapq.",
    )


def _run_agent(
    ready: ReadyBoard, job: Mapping[str, Any], patience: Patience, take: Callable[[Any], None]
) -> list[str]:
    """Runs the agent once; returns the files that it found damaged."""
    damaged: list[str] = []
    hello: list[answers.Hello] = []
    holders: set[str] = set()
    finished = False

    def on_answer(answer: dict[str, Any]) -> None:
        nonlocal finished
        said = answers.read(answer, ready.address)
        patience.heard(said)
        match said:
            case answers.Hello():
                hello.append(said)
            case answers.Damaged():
                damaged.extend(said.files)
            case answers.Waiting():
                if said.holder not in holders:
                    holders.add(said.holder)
                    ready.progress.say(f"{ready.address}: waiting for {said.holder or 'somebody'}")
            case answers.Done():
                finished = True
            case _:
                take(said)

    request = {
        **job,
        "root": ROOT,
        "environment": {
            "paths": [ready.environment] if ready.environment else [],
            "variables": ready.board.setup.environment,
        },
        "holder": _holder(),
        "wait_s": ready.limits.wait_s,
        "step_s": ready.limits.step_s,
        "silence_s": ready.limits.silence_s,
    }
    try:
        run(
            ready.transport,
            "agent",
            request,
            on_answer,
            python=ready.board.setup.python,
            silence_s=ready.limits.silence_s,
            watch=patience.check,
        )
    except BaseException:
        _stop(ready, hello)
        raise
    if not damaged and not finished:
        raise DeviceError("The agent on the board ended early.", where=ready.address)
    return damaged


def _stop(ready: ReadyBoard, hello: Sequence[answers.Hello]) -> None:
    """Sees to it that the agent does not live on, where the connection still stands.

    Without a connection the agent ends by itself when it has not heard from us for 30 seconds.
    """
    for one in hello:
        with contextlib.suppress(SnapqError):
            ask(
                ready.transport,
                "store",
                {"action": "stop", "root": ROOT, "pid": one.pid, "started": one.started},
                python=ready.board.setup.python,
                timeout_s=10,
            )


def _candidate(load: Load, folder: str) -> dict[str, Any]:
    return {
        "label": load.label,
        "folder": folder,
        "files": [[file.path, file.size, file.sha256] for file in load.files],
        "fallbacks": [
            {"name": r.name, "model": r.model, "npu": r.npu, "options": dict(r.options)}
            for r in load.fallbacks
        ],
        "feeds": FEEDS,
        "golden": [{"inputs": one, "outputs": other} for one, other in load.golden],
        "rows": _rows(load),
    }


def _rows(load: Load) -> dict[str, Any] | None:
    """What a classical model is asked."""
    rows = load.golden_rows
    if rows is None and not load.has_host:
        return None
    return {"host": load.has_host, "files": list(rows.files) if rows else []}


def _holder() -> str:
    """Who measures, for others who want to."""
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{user_name()} on {platform.node()}, since {since}"


def _model(found: Session, label: str, address: str) -> Found:
    if label not in found.models:
        raise DeviceError("The board speaks of a model that was not sent.", where=address)
    return found.models[label]
