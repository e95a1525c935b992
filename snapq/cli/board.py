"""The commands `snapq board …`, each group from its own file."""

from __future__ import annotations

import typer

from snapq.cli.emulate import emulate

board = typer.Typer(name="board", help="Boards to run packages on.", no_args_is_help=True)
board.add_typer(emulate)
