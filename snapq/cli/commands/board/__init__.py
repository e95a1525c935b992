"""The commands `snapq board …`, each from its own file."""

from __future__ import annotations

import typer

from snapq.cli.commands.board.clean import clean
from snapq.cli.commands.board.emulate import emulate
from snapq.cli.commands.board.setup import setup

board = typer.Typer(name="board", help="Boards to run packages on.", no_args_is_help=True)
board.add_typer(emulate)
board.command()(setup)
board.command()(clean)

__all__ = ["board"]
