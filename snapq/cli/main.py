"""The entry point of the `snapq` program."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress

from snapq.cli import interrupts, streams

INTERRUPTED = 130
UNWRITTEN = 2


def main() -> None:
    """Runs the program and ends it with its exit code.

    0: done. 1: done, and a gate failed. 2: wrong input, or it cannot be done here; also where all
    went well and the output could not be written. 70: a defect of snapq. 130: interrupted.
    """
    interrupts.listen()
    sinks = streams.prepare()
    try:
        code = _run()
    except KeyboardInterrupt:  # before a command could take care of it itself
        sys.stderr.write("Interrupted.\n")
        code = INTERRUPTED
    sys.stdout.flush()
    if code == 0 and sinks[0].failure is not None:
        sys.stderr.write(f"error: standard output: {sinks[0].failure}.\n")
        code = UNWRITTEN
    sys.stderr.flush()
    if code == INTERRUPTED:
        # Python ends by SIGINT and not with this code where the interrupt met an import that uses
        # exec, such as that of a dataclass, whatever was made of it afterwards.
        with suppress(BaseException):
            atexit._run_exitfuncs()  # removes temporary folders
        os._exit(code)
    sys.exit(code)


def _run() -> int:
    """Runs the command; returns its exit code."""
    from snapq.cli.app import app
    from snapq.cli.output.errors import print_renamed_as_notes

    print_renamed_as_notes()
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else UNWRITTEN
    return 0
