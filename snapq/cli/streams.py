"""Standard output and standard error that may be closed, full, or of few characters.

What a command did, its exit code tells also where nobody listens any more: who reads `snapq plan |
head -1` has seen enough, and a run whose terminal is gone goes on to its end. A full disk is told:
there, what should have been kept is lost.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from typing import TextIO

_GONE = frozenset({errno.EPIPE, errno.EBADF, errno.ECONNRESET, errno.EIO})
"""Nobody listens: a closed pipe, a closed descriptor, a terminal that hung up."""


_ESCAPES = "snapq-escapes"
"""Writes characters that an encoding lacks as escapes, but a no-break space as a space."""


def _escaped(error: UnicodeError) -> tuple[str | bytes, int]:
    if isinstance(error, UnicodeEncodeError) and error.object[error.start] == "\N{NO-BREAK SPACE}":
        return " ", error.start + 1
    return codecs.backslashreplace_errors(error)


codecs.register_error(_ESCAPES, _escaped)


class Sink(io.FileIO):
    """A standard stream that takes everything, and remembers why it could not write.

    Attributes:
        failure: what went wrong, other than that nobody listens; None where nothing did.
    """

    failure: str | None = None

    def write(self, data: object, /) -> int:
        """Writes bytes; what cannot be written is dropped."""
        size = memoryview(data).nbytes  # type: ignore[arg-type]
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            if error.errno == errno.EAGAIN:  # a pipe of somebody who does not want to wait
                os.set_blocking(self.fileno(), True)
                return 0
            if error.errno not in _GONE:
                self.failure = error.strerror or str(error)
            return size


def prepare() -> tuple[Sink, Sink]:
    """Puts streams that never fail in the place of standard output and standard error.

    A closed descriptor is opened to nowhere first: else the next file would get its number, and
    whatever a library prints would land in that file.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    sinks = Sink(1, "wb", closefd=False), Sink(2, "wb", closefd=False)
    sys.stdout, sys.stderr = _text(sinks[0], sys.stdout), _text(sinks[1], sys.stderr)
    return sinks


def _text(sink: Sink, before: TextIO | None) -> TextIO:
    """The stream as text; characters that its encoding lacks are written as escapes."""
    interactive = os.isatty(sink.fileno())
    return io.TextIOWrapper(
        io.BufferedWriter(sink),
        encoding=getattr(before, "encoding", None) or "utf-8",
        errors=_ESCAPES,
        line_buffering=interactive or sink.fileno() == 2,
    )
