"""The parent: holds the lock, watches over time, host and children, and gives the turns."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import math
import os
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

from .machine import conditions, npu_absent, prepare_environment
from .process import MAX_LOG_BYTES, Child, die
from .wire import FailedError, ToldError, tell

__all__ = ["parent"]

_BEAT_S = 2.0
_ROUNDS = 50
_PROBLEM = re.compile(r"<[EW]>|\[[EF]:")
"""Lines of the libraries' log that tell of problems."""


def parent(job: dict[str, Any]) -> None:
    """Does what the host asks for, under the lock."""
    root = Path(job["root"]).expanduser()
    threading.Thread(target=_listen_to_host, args=(job["silence_s"],), daemon=True).start()
    tell("hello", pid=os.getpid(), started=_started())
    with _lock(root, job):
        threading.Thread(target=_beat, daemon=True).start()
        for candidate in job["candidates"]:
            _verify(root, candidate)
        prepare_environment(job["environment"])
        _measure(job)
        tell("done")


def _verify(root: Path, candidate: dict[str, Any]) -> None:
    """Checks every file against its hash before anything loads it; removes what is damaged."""
    folder = Path(candidate["folder"])
    bad = []
    for path, size, digest in candidate["files"]:
        place = folder / path
        plain = place.is_file() and not place.is_symlink() and place.stat().st_size == size
        if not plain or _digest(place) != digest:
            bad.append((path, digest))
    for path, digest in bad:
        for damaged in (folder / path, root / "objects" / digest):
            with contextlib.suppress(OSError):
                damaged.unlink()
    if bad:
        tell("damaged", files=[path for path, _ in bad])
        raise ToldError


def _measure(job: dict[str, Any]) -> None:
    """Takes turns until every candidate has the runs and the time that the protocol asks for."""
    protocol = job["protocol"]
    tell("conditions", when="before", **conditions())
    tallies = [_Tally(candidate, protocol) for candidate in job["candidates"]]
    repeats = protocol["repeats"]
    for repeat in range(repeats):
        if repeat and protocol["cooldown_s"]:
            time.sleep(protocol["cooldown_s"])
        order = tallies if repeat % 2 == 0 else tallies[::-1]
        _take_turns(order, repeat, job, tallies)
    tell("conditions", when="after", **conditions())


def _take_turns(
    order: list[_Tally], repeat: int, job: dict[str, Any], tallies: list[_Tally]
) -> None:
    goal = (repeat + 1) / job["protocol"]["repeats"]
    children: list[tuple[_Tally, Child]] = []
    try:
        for tally in order:
            began = time.monotonic()
            started = _climb(tally, job, repeat == 0)
            children.append((tally, started))  # at once: what was started must be closed
            tally.loads_s.append(time.monotonic() - began)
            tell("progress", share=_advance(tallies, repeat, job["protocol"]))
        while any(tally.share() < goal for tally in tallies):
            for tally, child in children:
                began = time.monotonic()
                expected_s = (tally.runs + job["settle"]) * tally.first_ms / 1000
                answer = child.ask(
                    "turn",
                    runs=tally.runs,
                    settle=job["settle"],
                    limit_s=job["step_s"] + 10 * expected_s,
                )
                tally.add(answer["ms"], time.monotonic() - began)
                tell("turn", label=tally.label, **answer)
                tell("progress", share=_advance(tallies, repeat, job["protocol"]))
            children.reverse()
        for tally, child in children:
            tell("usage", label=tally.label, **child.ask("usage"))
    finally:
        for _, child in children:
            child.close()


def _climb(tally: _Tally, job: dict[str, Any], first: bool) -> Child:
    """Starts the candidate on the first of its fallbacks that works."""
    candidate, protocol = tally.candidate, tally.protocol
    for fallback in [tally.fallback] if tally.fallback else candidate["fallbacks"]:
        told = {"label": tally.label, "fallback": fallback["name"]}
        reason, log, child = npu_absent() if fallback["npu"] else None, "", None
        if reason is None:
            child = Child(tally.label, job)
            try:
                loaded = child.ask(
                    "load", fallback=fallback, candidate=candidate, protocol=protocol
                )
            except FailedError as error:
                reason, log = error.args[0], child.log()
                child.close()
                if fallback["npu"] and first:
                    log = _explain(tally, fallback, job) or log
        if reason is not None or child is None:
            tell("fallback", **told, taken=False, reason=reason, log=log)
            continue
        tally.fallback, tally.first_ms = fallback, loaded["first_ms"]
        if first:
            tell("fallback", **told, taken=True, reason="", log="")
        tell("loaded", label=tally.label, **loaded)
        if candidate["feeds"]:
            warm = child.ask("turn", runs=max(1, protocol["warmup"]), settle=0)["ms"]
            warm = sorted(warm)[len(warm) // 2]
            tally.runs = tally.runs or max(
                math.ceil(protocol["min_runs"] / _ROUNDS),
                math.ceil(protocol["min_duration_s"] / _ROUNDS / max(warm / 1000, 1e-6)),
            )
        return child
    tell("exhausted", label=tally.label)
    raise ToldError


def _explain(tally: _Tally, fallback: dict[str, Any], job: dict[str, Any]) -> str:
    """What Qualcomm's runtime says of a fallback that fails, when it is asked to say all.

    It is asked in a process of its own: whatever it says takes time where a model is measured.
    """
    child = Child(tally.label, job)
    load: dict[str, Any] = {
        "fallback": fallback,
        "candidate": tally.candidate,
        "protocol": tally.protocol,
    }
    try:
        with contextlib.suppress(FailedError):
            child.ask("load", **load, verbose=True)
    finally:
        log = child.log(limit=64 * MAX_LOG_BYTES)
        child.close()
    return "\n".join(filter(_PROBLEM.search, log.splitlines()))[:MAX_LOG_BYTES]


def _advance(tallies: list[_Tally], repeat: int, protocol: dict[str, Any]) -> float:
    """How much is done of the time that all of it takes, as far as can be seen by now."""
    known = [tally for tally in tallies if tally.loads_s]
    pauses = protocol["cooldown_s"]
    done = repeat * pauses + sum(tally.done_s() for tally in known)
    whole = sum(tally.whole_s() for tally in known) * len(tallies) / len(known)
    return min(1.0, float(done / (whole + (protocol["repeats"] - 1) * pauses or 1.0)))


class _Tally:
    """What one candidate has done so far, over all of its processes.

    Attributes:
        loads_s: how long it took to load it, process by process.
    """

    def __init__(self, candidate: dict[str, Any], protocol: dict[str, Any]) -> None:
        self.candidate = candidate
        self.protocol = protocol
        self.label = candidate["label"]
        self.fallback: dict[str, Any] | None = None
        self.first_ms = 0.0
        self.runs = 0
        self.loads_s: list[float] = []
        self._count = 0
        self._ms = 0.0
        self._turns_s = 0.0

    def add(self, times_ms: list[float], seconds: float) -> None:
        """Counts a turn, which took `seconds` with what was not timed."""
        self._count += len(times_ms)
        self._ms += sum(times_ms)
        self._turns_s += seconds

    def done_s(self) -> float:
        """What it took so far."""
        return sum(self.loads_s) + self._turns_s

    def whole_s(self) -> float:
        """What it will take in the end, if all goes on as it went."""
        count, ms = (self._count, self._ms) if self._count else (1, self.first_ms)
        runs = max(
            self.protocol["min_runs"],
            self.protocol["min_duration_s"] * count / max(ms / 1000, 1e-9),
        )
        a_run = (self._turns_s or ms / 1000) / count
        load = sum(self.loads_s) / len(self.loads_s)
        return float(self.protocol["repeats"] * load + runs * a_run)

    def share(self) -> float:
        """How much of what the protocol asks for is there."""
        share = self._count / self.protocol["min_runs"]
        if self.protocol["min_duration_s"]:
            share = min(share, self._ms / 1000 / self.protocol["min_duration_s"])
        return float(share)


@contextlib.contextmanager
def _lock(root: Path, job: dict[str, Any]) -> Any:
    """Lets one host measure at a time; the lock dies with this process."""
    root.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + job["wait_s"]
    with (root / "lock").open("a+") as file:
        told = 0.0
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                file.seek(0)
                holder = file.read(1000)
            if time.monotonic() > deadline:
                raise FailedError(
                    "Somebody else measures on this board: {}.".format(holder or "unknown"),
                    str(root / "lock"),
                    "Wait for it to end, or ask them; a lock dies with its process.",
                )
            if time.monotonic() - told > _BEAT_S:
                tell("waiting", holder=holder)
                told = time.monotonic()
            time.sleep(0.2)
        file.truncate(0)
        file.write(job["holder"])
        file.flush()
        yield


def _beat() -> None:
    """Shows the host that this process lives, and takes the conditions on the way."""
    while True:
        time.sleep(_BEAT_S)
        tell("conditions", when="during", **conditions())


def _listen_to_host(silence_s: float) -> None:
    """Ends everything when the host hangs up or has not been heard for a while."""
    heard = [time.monotonic()]

    def watch() -> None:
        while time.monotonic() - heard[0] < silence_s:
            time.sleep(1)
        die()

    threading.Thread(target=watch, daemon=True).start()
    while sys.stdin.buffer.read(1):
        heard[0] = time.monotonic()
    die()


def _started() -> str:
    """Start time of this process in the kernel's ticks, by which it is told from a later one."""
    return Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
