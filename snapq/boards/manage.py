"""What a user asks of a board: what it is, to set it up, to clean it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from snapq.boards.emulator.address import EmulatedAddress
from snapq.boards.emulator.connection import as_board, running
from snapq.boards.emulator.lifecycle import DEFAULT_NAME
from snapq.boards.environment import Environment, set_up
from snapq.boards.inventory import Board, boards, find_board
from snapq.boards.requirements import Requirement, check_requirements
from snapq.boards.session.probe import BoardFacts, probe
from snapq.boards.session.program import ROOT, ask
from snapq.boards.transports.base import connect
from snapq.errors import ConfigError, nearest
from snapq.progress import Progress


@dataclass(frozen=True)
class Probed:
    """A board, what it is, and what it lacks."""

    name: str
    facts: BoardFacts
    requirements: tuple[Requirement, ...]


def named_board(name: str) -> Board:
    """The board with this address or name.

    Raises:
        ConfigError: it is neither.
        DeviceError: it is an emulated board that does not run.
    """
    emulated = EmulatedAddress.parse(name)
    if emulated is not None:
        return as_board(running(emulated.name or DEFAULT_NAME), name)
    found = find_board(name)
    if found is not None:
        return found
    close = nearest(name, [board.name for board in boards()])
    raise ConfigError(
        f"No board is called {name!r}.",
        hint=f"Did you mean {close}?"
        if close
        else "Write ssh://USER@HOST, or add it to ~/.config/snapq/boards.yaml.",
    )


def probe_board(name: str) -> Probed:
    """Asks a board what it is. Raises `SnapqError`."""
    board = named_board(name)
    with connect(board.address) as transport:
        facts = probe(transport, board)
    return Probed(name, facts, check_requirements(facts, time.time()))


def set_up_board(name: str, progress: Progress) -> Environment:
    """Brings the agent's libraries to a board; does nothing where they are. Raises `SnapqError`."""
    board = named_board(name)
    with connect(board.address) as transport:
        return set_up(transport, board, probe(transport, board), progress)


def clean_board(name: str) -> tuple[str, int]:
    """Removes all that snapq put on a board; returns the folder and its bytes.

    Raises:
        SnapqError: the board cannot be reached, or the folder is not snapq's.
    """
    board = named_board(name)
    with connect(board.address) as transport:
        answer = ask(
            transport,
            "store",
            {"action": "clean", "root": ROOT},
            python=board.setup.python,
            timeout_s=600,
        )
    size = answer.get("bytes")
    return str(answer.get("root"))[:300], size if isinstance(size, int) else 0
