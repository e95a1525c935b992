"""`snapq board clean` removes what snapq put on a board."""

from __future__ import annotations

import typer

from snapq.cli.options import BoardName, Json
from snapq.cli.output.json import emit


def clean(name: BoardName, json: Json = False) -> None:
    """Remove everything that snapq put on a board.

    Example: snapq board clean my-board
    """
    from snapq import api

    root, size = api.clean_board(name)
    if json:
        emit({"root": root, "bytes": size})
    else:
        typer.echo(
            f"Removed {root} ({size / 1e6:,.0f} MB)." if size else "There was nothing to remove."
        )
