"""A search on standard error: a live table on a terminal, a line a trial elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from snapq.cli.verbosity import verbosity
from snapq.progress import Advance, Progress, Silent
from snapq.report import searching as shown
from snapq.report.progress import ProgressBars, Verbosity

if TYPE_CHECKING:
    from snapq.records import SearchRecord, SearchTrialRecord


class SearchView(ProgressBars):
    """Shows a search: the frontier so far, how far it is, and at what the running trial is."""

    def __init__(self) -> None:
        super().__init__(verbosity())
        self._live: Live | None = None
        self.record: SearchRecord | None = None
        """The search as it was when its last trial was told."""
        self._bars_shown = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )

    @contextmanager
    def track(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """The search itself, or what is prepared for it."""
        if title != "Search" or not self._console.is_terminal or self._quiet:
            with super().track(title, total) as advance:
                yield advance
            return
        task = self._bars_shown.add_task("Search", total=total)
        with Live(self._bars_shown, console=self._console, transient=True) as live:
            self._live = live
            try:
                yield lambda count: self._bars_shown.advance(task, count)
            finally:
                self._live = None

    def say(self, text: str) -> None:
        """Prints one line."""
        if not self._quiet:
            self._console.print(escape(text), soft_wrap=True)

    def inside(self) -> Progress:
        """What the running trial is at, on a terminal; all that it says where much is told."""
        if self._quiet:
            return Silent()
        if self._verbosity is Verbosity.VERBOSE:
            return _Told(self)
        return _Inside(self) if self._console.is_terminal else Silent()

    def on_trial(self, record: SearchRecord, trial: SearchTrialRecord) -> None:
        """Shows a trial that is done."""
        self.record = record
        if self._quiet:
            return
        if self._live is not None:
            self._live.update(Group(shown.live(record), "", self._bars_shown))
        if self._live is None or trial.state == "failed":
            self.say(shown.line(trial, record))

    @contextmanager
    def step(self, title: str, total: int | None) -> Iterator[Advance]:
        """A step of the running trial, as a bar of its own."""
        task = self._bars_shown.add_task(f"  {title}", total=total)
        try:
            yield lambda count: self._bars_shown.advance(task, count)
        finally:
            self._bars_shown.remove_task(task)

    @property
    def _quiet(self) -> bool:
        return self._verbosity is Verbosity.QUIET


class _Inside(Silent):
    """The steps of a trial as bars below that of the search."""

    def __init__(self, view: SearchView) -> None:
        self._view = view

    @contextmanager
    def track(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """Shows one step."""
        with self._view.step(title, total) as advance:
            yield advance


class _Told(_Inside):
    """The same, with all that the stages say."""

    def say(self, text: str) -> None:
        """Prints one line."""
        self._view.say(text)
