"""A shell on an emulated board, by OpenSSH's client.

All else reaches boards through paramiko. An interactive shell needs a terminal besides (raw mode,
changes of the window's size, signals, escapes), which `ssh` has and paramiko leaves to its users.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from typing import NoReturn

from snapq.boards.emulator import tools
from snapq.boards.emulator.connection import running


def replace_with_shell(name: str, command: Sequence[str]) -> NoReturn:
    """Becomes `ssh` to a board: its exit code is the one of the command there.

    Args:
        name: of the board.
        command: words of a command; a shell where there are none.

    Raises:
        DeviceError: the board does not run.
        InstallError: there is no `ssh`.
    """
    board = running(name)
    tools.require(["ssh"])
    words = ["ssh", "-F", "none", "-i", str(board.identity), "-p", str(board.port)]
    for option in (
        f'UserKnownHostsFile="{board.known_hosts}"',
        "GlobalKnownHostsFile=none",
        "StrictHostKeyChecking=yes",
        "IdentitiesOnly=yes",
        "LogLevel=ERROR",
    ):
        words += ["-o", option]
    remote = [shlex.join(command)] if command else []
    os.execvp("ssh", [*words, "root@127.0.0.1", *remote])
