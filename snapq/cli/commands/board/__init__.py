"""The commands `snapq board …`: emulate, setup, clean."""

from __future__ import annotations

import typer

from snapq.cli.commands.board.emulate import emulate
from snapq.cli.options import BoardName, Json
from snapq.cli.output.json import emit
from snapq.cli.output.text import say
from snapq.errors import ConfigError

board = typer.Typer(name="board", help="Boards to run packages on.", no_args_is_help=True)
board.add_typer(emulate)

__all__ = ["board"]


@board.command()
def setup(name: BoardName, json: Json = False) -> None:
    """Bring the agent's libraries to a board, into ~/.snapq; the board needs no network.

    Example: snapq board setup ssh://root@192.168.1.20
    """
    from dataclasses import asdict

    from snapq import api
    from snapq.cli.output.progress import Bars

    done = api.set_up_board(name, progress=Bars())
    if json:
        emit(asdict(done))
    elif done.new:
        say(f"Set up: {done.path} ({done.sent_bytes / 1e6:,.0f} MB sent).")
    else:
        say(f"Nothing to do: {done.path or 'its own Python has all libraries'}.")


@board.command(hidden=True)
def probe(name: BoardName) -> None:
    """Is another command: snapq devices probe BOARD.

    Example: snapq devices probe my-board
    """
    raise ConfigError(
        "There is no `snapq board probe`.", hint=f"Did you mean: snapq devices probe {name}"
    )


@board.command()
def clean(name: BoardName, json: Json = False) -> None:
    """Remove everything that snapq put on a board.

    Example: snapq board clean my-board
    """
    from snapq import api

    root, size = api.clean_board(name)
    if json:
        emit({"root": root, "bytes": size})
    else:
        say(f"Removed {root} ({size / 1e6:,.0f} MB)." if size else "There was nothing to remove.")
