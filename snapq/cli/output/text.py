"""Text that reaches a terminal: what models, boards and files contain cannot control it."""

from __future__ import annotations

import typer

from snapq.report.formatting import plain


def say(text: str) -> None:
    """Prints one line on standard output."""
    typer.echo(plain(text))


def warn(text: str, color: str | None = None) -> None:
    """Prints one line on standard error."""
    typer.secho(plain(text), fg=color, err=True)
