"""What goes to a board and comes back: bytes to send, and lines that never exceed a limit."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from snapq.errors import DeviceError
from snapq.storage import storage_errors

Line = Callable[[bytes], None]
"""Called with each line of standard output, without its end."""

MAX_LINE_BYTES = 4 << 20
"""A board that sends a longer line is not one of ours."""
MAX_ERROR_BYTES = 16 << 10
"""How much of the end of standard error is kept."""
BLOCK_BYTES = 1 << 18
BEAT_S = 2.0
"""How often the host shows a program that it still listens."""


class Collector:
    """Takes blocks of standard output; passes whole lines on, or keeps everything.

    Args:
        address: the board, for messages.
        on_line: takes the lines; None keeps all bytes in `kept`.
        limit_bytes: how much may come in all.
        watch: called with each block; raises where it has been long enough.
    """

    def __init__(
        self,
        address: str,
        on_line: Line | None,
        limit_bytes: int,
        watch: Callable[[], None] | None = None,
    ) -> None:
        self._left = limit_bytes
        self._address = address
        self._on_line = on_line
        self._watch = watch
        self.kept = bytearray()

    def take(self, block: bytes) -> None:
        """Takes the next block.

        Raises:
            DeviceError: a line, or all of it, is longer than allowed.
        """
        self.kept += block
        self._left -= len(block)
        if self._on_line is not None:
            *lines, rest = self.kept.split(b"\n")
            self.kept = rest
            for line in lines:
                self._on_line(bytes(line))
        if self._watch is not None:
            self._watch()
        too_long = self._on_line is not None and len(self.kept) > MAX_LINE_BYTES
        if too_long or self._left < 0:
            raise DeviceError(
                "The board sends without end; the connection was closed.",
                where=self._address,
                hint="Check what runs on the board: this is not what snapq started there.",
            )


class Tail:
    """Reads standard error in a thread of its own and keeps its end.

    Args:
        read: gives up to so many bytes; none at its end.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._kept = b""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def text(self) -> bytes:
        """The end of what was said, once it is complete or five seconds are over."""
        self._thread.join(5)
        return self._kept

    def _run(self) -> None:
        with suppress(Exception):  # closed: there is no more
            while block := self._read(4096):
                self._kept = (self._kept + block)[-MAX_ERROR_BYTES:]


def readable(data: bytes, limit: int = 500) -> str:
    """The end of what a board said, on one line and without control characters."""
    text = "".join(
        c if c.isprintable() else " " for c in data[-4 * limit :].decode("utf-8", "replace")
    )
    return " ".join(text.split())[-limit:]


@contextmanager
def opened(source: Path | bytes) -> Iterator[io.BufferedIOBase]:
    """Opens what is to be sent. Raises `StorageError`."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    with storage_errors(source):
        file = source.open("rb")
    with file:
        yield file
