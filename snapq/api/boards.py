"""Boards: what they are and lack, what snapq puts on them, and its removal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapq.api.public import public
from snapq.progress import Progress, Silent

if TYPE_CHECKING:
    from snapq.boards.environment import Environment
    from snapq.boards.manage import Probed


@public
def probe_board(name: str) -> Probed:
    """Asks a board what it is and what it lacks: `ssh://user@host:port`, or one of boards.yaml.

    Raises:
        SnapqError: there is no way to the board, or no Python on it.
    """
    from snapq.boards import manage

    return manage.probe_board(name)


@public
def set_up_board(name: str, *, progress: Progress | None = None) -> Environment:
    """Brings the agent's libraries to a board; does nothing where they are there.

    Raises:
        SnapqError: there is no way to the board, no room on it, or no wheels for it.
    """
    from snapq.boards import manage

    return manage.set_up_board(name, progress or Silent())


@public
def clean_board(name: str) -> tuple[str, int]:
    """Removes everything that snapq put on a board; returns its folder and the bytes in it.

    Raises:
        SnapqError: there is no way to the board, or the folder is not snapq's.
    """
    from snapq.boards import manage

    return manage.clean_board(name)
