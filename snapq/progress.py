"""Progress reporting. Engines call a plain function; the command line draws the bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, runtime_checkable

Advance = Callable[[int], None]
"""Called with the number of items done since the last call; with 0 where the work begins only now,
so that what came before says nothing of the time that is left."""


def duration(seconds: float) -> str:
    """A time that somebody waited: `1.2 s`, `3 min 05 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"


class Progress(Protocol):
    """A progress reporter."""

    def say(self, text: str) -> None:
        """Reports one line of text."""

    def track(self, title: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """Opens a bar for `total` items (None: unknown) and closes it when the block ends."""


@runtime_checkable
class Nested(Protocol):
    """A progress reporter that can show what runs within a step of it."""

    def inside(self) -> Progress:
        """The reporter for what runs within the step that is open."""


class Silent:
    """A progress reporter that shows nothing."""

    def say(self, text: str) -> None:
        """Reports nothing."""

    @contextmanager
    def track(self, title: str, total: int | None = None) -> Iterator[Advance]:  # noqa: ARG002
        """Yields a function that does nothing."""
        yield lambda _count: None


class Percent:
    """Turns shares of 0 to 1 into steps of a bar of 100."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self._shown = 0

    def __call__(self, share: float) -> None:
        """Shows that `share` is done; what was shown once is not taken back."""
        done = max(int(100 * share), self._shown)
        self._advance(done - self._shown)
        self._shown = done
