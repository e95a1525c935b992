"""Hangs the commands on the program, each group from its own file."""

from __future__ import annotations

import typer

from snapq.cli.commands import (
    benchmarks,
    devices,
    encodings,
    models,
    projects,
    runs,
)
from snapq.cli.commands.board import board


def register(app: typer.Typer) -> None:
    """Adds every command to `app`, in the order in which the help lists them."""
    for command in (
        *projects.COMMANDS,
        *runs.COMMANDS,
        *models.COMMANDS,
        *benchmarks.COMMANDS,
        *devices.COMMANDS,
    ):
        app.command(command.__name__.removesuffix("_"), no_args_is_help=False)(command)
    app.add_typer(encodings.group)
    app.add_typer(board)
