"""Progress on standard error: bars on a terminal, lines with times elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from snapq.progress import Advance, duration
from snapq.report.console import console

_TOLD_FROM_S = 1.0
_HEARTBEAT_S = 30.0
"""How often a line says how far a long step is, where there is no terminal."""


class Verbosity(Enum):
    """How much is told."""

    QUIET = "quiet"
    NORMAL = "normal"
    VERBOSE = "verbose"


class ProgressBars:
    """Reports progress as bars on a terminal, and as lines with times in a log or a notebook.

    Args:
        verbosity: quiet tells nothing; verbose leaves a line of every step, on a terminal too.
    """

    def __init__(self, verbosity: Verbosity = Verbosity.NORMAL) -> None:
        self._console = console(stderr=True)
        self._verbosity = verbosity

    def say(self, text: str) -> None:
        """Prints one line."""
        if self._verbosity is not Verbosity.QUIET:
            self._console.print(escape(text), soft_wrap=True)

    @contextmanager
    def track(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """Shows a bar (a spinner where `total` is None) while the block runs."""
        if self._verbosity is Verbosity.QUIET:
            yield lambda _count: None
            return
        steps = _Steps(title, total, self.say)
        if not self._console.is_terminal:
            yield steps.advance_and_tell
        else:
            with self._bars(title, total) as advance:
                yield advance
        if not self._console.is_terminal or self._verbosity is Verbosity.VERBOSE:
            steps.tell_end(always=self._verbosity is Verbosity.VERBOSE)

    @contextmanager
    def _bars(self, title: str, total: int | None) -> Iterator[Advance]:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn() if total is not None else TextColumn(""),
            TimeElapsedColumn(),
            TimeRemainingColumn() if total is not None else TextColumn(""),
        )
        with Progress(*columns, console=self._console, transient=True) as bars:
            task = bars.add_task(title, total=total)
            yield lambda count: bars.advance(task, count)


class _Steps:
    """How far a step is, in lines."""

    def __init__(self, title: str, total: int | None, say: Callable[[str], None]) -> None:
        self._title, self._total, self._say = title, total, say
        self._opened = self._began = self._told = time.monotonic()
        self._done = 0

    def advance_and_tell(self, count: int) -> None:
        """Counts, and now and then says how far it is and how long the rest will take."""
        self._done += count
        now = time.monotonic()
        if not self._done:
            self._began = now
        if self._total is None or now - self._told < _HEARTBEAT_S or not self._done:
            return
        self._told = now
        left = (now - self._began) / self._done * max(self._total - self._done, 0)
        self._say(f"{self._title}: {self._done} of {self._total}, about {duration(left)} left")

    def tell_end(self, *, always: bool) -> None:
        """Says how long it took, where that was long enough to be worth a line."""
        took = time.monotonic() - self._opened
        if always or took >= _TOLD_FROM_S:
            self._say(f"{self._title}: {duration(took)}")
