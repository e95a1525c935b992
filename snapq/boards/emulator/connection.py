"""How to connect to an emulated board that runs."""

from __future__ import annotations

from snapq.boards.emulator import lifecycle
from snapq.boards.emulator.lifecycle import EmulatedBoard
from snapq.boards.inventory import Board
from snapq.boards.transports.address import SshAddress
from snapq.errors import DeviceError


def running(name: str) -> EmulatedBoard:
    """The running board of this name.

    Raises:
        ConfigError: the name is none.
        DeviceError: it does not run.
    """
    board = lifecycle.find(name)
    if board is None:
        raise DeviceError(
            "This emulated board does not run.",
            where=name,
            hint=f"Start it: snapq board emulate start {name}",
        )
    return board


def as_board(board: EmulatedBoard, name: str) -> Board:
    """The board as one to connect to, shown under this name.

    Its keys are its own, and the user's `~/.ssh/config` has no say.
    """
    address = SshAddress(
        *("127.0.0.1", "root", board.port, board.identity, board.known_hosts), configured=False
    )
    return Board(name, address)
