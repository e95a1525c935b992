"""Progress of a command on standard error, as `-q` and `-v` say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from snapq.cli.verbosity import verbosity
from snapq.progress import Advance
from snapq.report.progress import ProgressBars


class Bars(ProgressBars):
    """Reports the progress of the command that runs."""

    def __init__(self) -> None:
        super().__init__(verbosity())


class Lines(Bars):
    """Reports the progress of several things at once: a line when each starts."""

    @contextmanager
    def track(self, title: str, total: int | None = None) -> Iterator[Advance]:  # noqa: ARG002
        """Says what starts."""
        self.say(f"{title} …")
        yield lambda _count: None
