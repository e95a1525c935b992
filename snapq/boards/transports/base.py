"""What a transport is: a connection to a board that runs commands and moves files.

A transport knows nothing of models or bundles. Commands are lists of words, never shell text, so
that no name of a file can run anything. Paths are absolute paths on the board.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from snapq.boards.transports.address import Address
from snapq.boards.transports.lines import Line, readable
from snapq.errors import DeviceError

Sent = Callable[[int], None]
"""Called with the number of bytes that went out since the last call."""

MAX_OUTPUT_BYTES = 64 << 20
"""What a command may print in all where nobody says otherwise."""


@dataclass(frozen=True)
class Command:
    """What is to be run on the board.

    Attributes:
        words: program and arguments.
        stdin: what is sent to its standard input first.
        beat: what is sent every two seconds from then on, so that the program knows that the host
            still listens; None closes its standard input after `stdin`.
        on_line: takes lines of its standard output as they come; None keeps them for the result.
        timeout_s: how long it may take in all; None for no limit.
        silence_s: how long it may say nothing on standard output.
        watch: called with each block of its standard output; what it raises stops it.
        limit_bytes: how much it may print in all.
    """

    words: Sequence[str]
    stdin: bytes = b""
    beat: bytes | None = None
    on_line: Line | None = None
    timeout_s: float | None = 60.0
    silence_s: float = 60.0
    watch: Callable[[], None] | None = None
    limit_bytes: int = MAX_OUTPUT_BYTES


@dataclass(frozen=True)
class Completed:
    """How a command ended."""

    code: int
    """Exit code; negative where a signal ended it or nobody knows."""
    stdout: bytes
    """Empty where `on_line` took it."""
    stderr: bytes
    """The end of it."""


class Transport(AbstractContextManager["Transport"]):
    """A connection to one board; a context manager that closes it.

    Attributes:
        address: the board as the user named it, for messages; never holds a password.
    """

    address: str

    @abstractmethod
    def run(self, command: Command) -> Completed:
        """Runs a command to its end; an exception from `on_line` stops it.

        Raises:
            ConnectionLostError: the connection broke, or the board fell silent.
            DeviceError: time is up, or the board sends lines or output without end.
        """

    @abstractmethod
    def put(
        self, source: Path | bytes, path: str, *, offset: int = 0, sent: Sent | None = None
    ) -> None:
        """Writes a file on the board; resumes one at byte `offset`.

        Raises:
            ConnectionLostError: the connection broke; what arrived stays.
            DeviceError: the board cannot write the file.
            StorageError: `source` cannot be read.
        """

    def get(self, path: str, *, limit: int) -> bytes:
        """Reads a file of up to `limit` bytes.

        Raises:
            ConnectionLostError: the connection broke.
            DeviceError: there is no such file, or it is larger.
        """
        done = self.run(Command(["head", "-c", str(limit + 1), "--", path]))
        if done.code != 0:
            raise DeviceError(
                f"The board cannot read this file: {readable(done.stderr)}.",
                where=f"{self.address}:{path}",
            )
        if len(done.stdout) > limit:
            raise DeviceError(
                f"The file has more than {limit} bytes.", where=f"{self.address}:{path}"
            )
        return done.stdout

    @abstractmethod
    def close(self) -> None:
        """Ends the connection and whatever still runs over it; may be called twice."""

    def __exit__(self, *error: object) -> None:
        self.close()

    def _cannot_write(self, path: str, why: bytes, code: int) -> DeviceError:
        """The error of a `put` whose command ended with this code."""
        return DeviceError(
            f"The board cannot write this file: {readable(why) or f'code {code}'}.",
            where=f"{self.address}:{path}",
            hint="Check the free disk space and the permissions there.",
        )


def connect(address: Address) -> Transport:
    """Opens a connection to a board.

    Raises:
        HostKeyError: the host key is unknown or changed.
        DeviceError: there is no way to the board, or it does not let us in.
        InstallError: the address needs a program that is missing.
        ConfigError: `~/.ssh/config` cannot be understood.
    """
    module, _, name = address.transport.partition(":")
    transport: Transport = getattr(import_module(module), name)(address)
    return transport
