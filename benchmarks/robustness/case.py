"""What a case of broken input is, and what came of it."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

CPU_LIMIT_S = 60.0
"""Processor seconds, with all processes that a command starts, above which it hangs."""
INTERNAL = 70
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Outcome:
    """How one command ended.

    Attributes:
        arguments: of `snapq`.
        exit_code: its exit code; minus the signal where one ended it.
        cpu_s: processor seconds of the command and the processes that it waited for.
        wall_s: seconds on the clock.
        peak_mb: the most memory that one of its processes held at once, in MiB.
        stdout: the end of what it printed.
        stderr: the end of its errors.
        timed_out: whether the harness ended it.
    """

    arguments: tuple[str, ...]
    exit_code: int
    cpu_s: float
    wall_s: float
    peak_mb: float
    stdout: str
    stderr: str
    timed_out: bool = False


Check = Callable[[Path, Sequence[Outcome]], Sequence[str]]


@dataclass(frozen=True)
class Case:
    """One broken input and the commands that meet it.

    Attributes:
        what: what is broken, in words.
        commands: arguments of `snapq`, run one after the other in the folder of the case.
        exits: the exit codes that a command may end with.
        environment: variables that differ; None takes one away.
        fresh: whether each command starts in a Python of its own: for what happens at the start.
        check: what else must hold, as sentences on what does not; it is given the folder.
        run: does the whole case itself, in place of `commands`.
        feed: what the commands read on standard input.
    """

    what: str
    commands: tuple[tuple[str, ...], ...] = ()
    exits: frozenset[int] = frozenset({0, 1, 2})
    environment: Mapping[str, str | None] = field(default_factory=dict)
    fresh: bool = False
    check: Check | None = None
    run: Callable[[Path], Sequence[Outcome]] | None = None
    feed: bytes = b""


class Kind(Protocol):
    """A module of `kinds`."""

    def draw(self, random: random.Random, folder: Path) -> Case:
        """Writes one case into an empty folder."""


def faults(case: Case, outcomes: Sequence[Outcome], folder: Path) -> list[str]:
    """What snapq did wrong, one sentence each; none where all is well."""
    found = []
    for outcome in outcomes:
        verb = outcome.arguments[0] if outcome.arguments else "snapq"
        found += [f"{verb}: {fault}" for fault in _faults_of(outcome, case.exits)]
    if case.check is not None:
        found += case.check(folder, outcomes)
    return found


def _faults_of(outcome: Outcome, exits: frozenset[int]) -> list[str]:
    found = []
    said = outcome.stdout + outcome.stderr
    if outcome.timed_out or outcome.cpu_s > CPU_LIMIT_S:
        found.append(f"hang: {outcome.cpu_s:.0f} s of CPU, {outcome.wall_s:.0f} s")
    elif outcome.exit_code == INTERNAL:
        found.append("exit 70")
    elif outcome.exit_code < 0:
        found.append(f"ended by signal {-outcome.exit_code}")
    elif outcome.exit_code not in exits:
        found.append(f"exit {outcome.exit_code}")
    if "Traceback (most recent call last)" in said:
        found.append("traceback")
    if outcome.exit_code == 2 and not said.strip():
        found.append("no word on what is wrong")
    if "--json" in outcome.arguments:
        try:
            json.loads(outcome.stdout)
        except ValueError:
            found.append("--json, and standard output is no JSON")
        said = outcome.stderr
    if _CONTROL.search(said):
        found.append("control codes on the terminal")
    return found
