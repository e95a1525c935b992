"""Consoles for tables and progress, which what models, boards and files contain cannot control."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from snapq.report.formatting import plain

KEPT = "\n\N{NO-BREAK SPACE}"
"""Not printable to Python, and harmless; tables are made with them."""


class PlainConsole(Console):
    """A console that spells out control characters of what it is given; its own it still uses."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The parts of what is to be printed."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(plain(segment.text, keep=KEPT), segment.style)


def console(*, stderr: bool = False) -> Console:
    """A console on standard output or standard error; names in it are not highlighted."""
    return PlainConsole(highlight=False, stderr=stderr)
