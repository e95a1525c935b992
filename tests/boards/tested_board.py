"""Where faults are made: a board, and a way to act on it that snapq knows nothing of.

What breaks a board, and what looks at it afterwards, are small Python scripts that run there: on
the server of this machine as a child, on an emulated board through OpenSSH's own client.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from snapq.boards.emulator.connection import as_board
from snapq.boards.emulator.lifecycle import EmulatedBoard
from snapq.boards.inventory import Board
from tests.boards import boards
from tests.boards.sshd import Sshd

_HEAD = """
import fcntl, os, pathlib, signal, subprocess, sys, time
home = pathlib.Path({home!r})
root = home / ".snapq"

def agents():
    "Processes of agents whose home this is, but no shell that waits for one."
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            mine = f"HOME={{home}}".encode() in (entry / "environ").read_bytes().split(bytes(1))
            # In two parts, so that what looks for it, with this text in its own line, is none.
            named = b"snapq" b"-agent" in (entry / "cmdline").read_bytes()
            if mine and named and "python" in os.readlink(entry / "exe"):
                found.append(int(entry.name))
        except OSError:
            pass
    return sorted(found)

def pairs():
    "Agents with the process of theirs that holds a model."
    found = agents()
    for process in found:
        try:
            stat = pathlib.Path(f"/proc/{{process}}/stat").read_text()
        except OSError:
            continue
        parent = int(stat.rpartition(")")[2].split()[1])
        if parent in found:
            yield parent, process

"""


@dataclass(frozen=True)
class TestedBoard:
    """A board to break.

    Attributes:
        board: how snapq reaches it.
        home: home directory of who logs in there.
        words: a command that runs the Python source that is put behind it, on the board.
        shell: whether the source passes a shell on its way.
        patience: how much longer everything takes there than on this machine.
    """

    board: Board
    home: str
    words: tuple[str, ...]
    shell: bool = False
    patience: float = 1.0

    def do(self, script: str) -> str:
        """Runs Python on the board, which knows what `_HEAD` has; what it printed."""
        done = subprocess.run(
            self._command(script), capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def doing(self, script: str) -> Iterator[None]:
        """Runs Python on the board that says `ready` when it is, and ends with its input."""
        process = subprocess.Popen(
            self._command(script), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            process.communicate()

    def agents(self, wait_s: float = 5.0) -> list[int]:
        """Processes of agents that are left after so long at most."""
        end = time.monotonic() + wait_s * self.patience
        while True:
            found = [int(word) for word in self.do("print(*agents())").split()]
            if not found or time.monotonic() > end:
                return found
            time.sleep(0.05)

    def wait_for_agent(self) -> None:
        """Returns when an agent works and has a model."""
        self.do(
            "for _ in range(3000):\n    if list(pairs()): break\n    time.sleep(0.02)\n"
            "else: raise SystemExit('no agent')"
        )

    def unfinished(self) -> list[str]:
        """Files that are not whole."""
        return self.do('print(*root.rglob(".tmp-*"))').split()

    def _command(self, script: str) -> list[str]:
        source = _HEAD.format(home=self.home) + script
        return [*self.words, shlex.quote(source) if self.shell else source]


def loopback(server: Sshd) -> TestedBoard:
    """The SSH server of this machine."""
    words = ("env", f"HOME={server.home}", sys.executable, "-c")
    return TestedBoard(boards.board(server), str(server.home), words)


def emulated(board: EmulatedBoard) -> TestedBoard:
    """A whole emulated board."""
    options = (f"-oUserKnownHostsFile={board.known_hosts}", "-oBatchMode=yes", "-oLogLevel=ERROR")
    words = ("ssh", "-p", str(board.port), "-i", str(board.identity), *options, "root@127.0.0.1")
    return TestedBoard(
        as_board(board, board.name), "/root", (*words, "python3", "-c"), shell=True, patience=8.0
    )
