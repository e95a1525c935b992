"""Progress on the terminal: rich bars on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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

from snapq.cli.output.console import console
from snapq.progress import Advance


class Bars:
    """Reports progress as bars on a terminal, and as a line a step on a pipe."""

    def __init__(self) -> None:
        self._console = console(stderr=True)

    def say(self, text: str) -> None:
        """Prints one line."""
        self._console.print(escape(text), soft_wrap=True)

    @contextmanager
    def track(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """Shows a bar (a spinner where `total` is None) while the block runs."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn() if total is not None else TextColumn(""),
            TimeElapsedColumn(),
            TimeRemainingColumn() if total is not None else TextColumn(""),
        )
        shown = self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=not shown) as bars:
            task = bars.add_task(title, total=total)
            yield lambda count: bars.advance(task, count)


class Lines(Bars):
    """Reports the progress of several things at once: a line when each starts."""

    @contextmanager
    def track(self, title: str, total: int | None = None) -> Iterator[Advance]:  # noqa: ARG002
        """Says what starts."""
        self.say(f"{title} …")
        yield lambda _count: None
