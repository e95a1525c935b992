"""`snapq devices` lists device profiles and probes boards."""

from __future__ import annotations

from typing import Annotated

import typer

from snapq.cli.completion import complete_boards, complete_devices
from snapq.cli.options import Json
from snapq.cli.output.json import emit


def devices(
    text: Annotated[
        str | None,
        typer.Argument(
            help="A device to show, a system (windows, android, linux), a word to search for, "
            "`show` with a device, or `probe` with a board.",
            autocompletion=complete_devices,
        ),
    ] = None,
    board: Annotated[
        str | None,
        typer.Argument(
            metavar="[BOARD]",
            help="ssh://USER@HOST, or a name of boards.yaml.",
            autocompletion=complete_boards,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List, search and show the device profiles; `probe` asks a board what it is.

    Examples: snapq devices; snapq devices windows; snapq devices v75; snapq devices probe ssh://root@192.168.1.20
    """
    from dataclasses import asdict

    from snapq.boards.inventory import refuse_board
    from snapq.cli.output import tables
    from snapq.devices import profiles
    from snapq.errors import ConfigError, DeviceError, nearest
    from snapq.prediction.table import packaged

    if text == "show":
        text, board = board, None
    if board is not None:
        if text != "probe":
            close = nearest(text or "", ["probe"]) is not None
            meant = f"Did you mean: snapq devices probe {board}" if close else None
            raise ConfigError(
                f"{text!r} is followed by {board!r}, and only `probe` takes a second word.",
                hint=meant or f"Write: snapq devices {board}, or snapq devices probe BOARD",
            )
        from snapq import api

        probed = api.probe_board(board)
        if json:
            needs = [asdict(need) for need in probed.requirements]
            emit({"facts": probed.facts.model_dump(), "needs": needs})
        else:
            tables.show_board(probed)
        return
    if text is None:
        found = profiles.all_profiles()
    else:
        try:
            found = (profiles.find(text),)
        except DeviceError:
            found = profiles.search(text)
            if not found:
                refuse_board(text)
                raise
    if json:
        table = packaged()
        emit(
            [
                {
                    **asdict(profile),
                    "predictions": [one.to_json() for one in table.of_device(profile.name)],
                }
                for profile in found
            ]
        )
    elif len(found) == 1:
        tables.show_device(found[0])
    else:
        tables.show_devices(found)
