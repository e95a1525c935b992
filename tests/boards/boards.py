"""The board of the tests: the SSH server, with the Python that runs them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from snapq.boards.inventory import Board, BoardSetup
from snapq.config import BenchmarkConfig
from snapq.progress import Advance
from tests.boards.sshd import Sshd

QUICK = BenchmarkConfig(
    target="board", warmup=1, min_runs=20, min_duration_s=0, allow=("npu", "cpu")
)


def board(server: Sshd, port: int | None = None, python: str = sys.executable) -> Board:
    """The server as a board; through a cable where `port` is given."""
    return Board("board", server.address(port), setup=BoardSetup(python=python))


class Heard:
    """A progress that keeps what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.bytes = 0

    def say(self, text: str) -> None:
        """Keeps a line."""
        self.lines.append(text)

    @contextmanager
    def track(self, title: str, total: int | None = None) -> Iterator[Advance]:  # noqa: ARG002
        """Counts the bytes of pushes."""

        def advance(count: int) -> None:
            self.bytes += count if title.startswith("Push") else 0

        yield advance
