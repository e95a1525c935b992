"""`snapq board setup` brings the agent's libraries to a board."""

from __future__ import annotations

import typer

from snapq.cli.options import BoardName, Json
from snapq.cli.output.json import emit


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
        typer.echo(f"Set up: {done.path} ({done.sent_bytes / 1e6:,.0f} MB sent).")
    else:
        typer.echo(f"Nothing to do: {done.path or 'its own Python has all libraries'}.")
