"""The entry point of the `snapq` program."""

from __future__ import annotations

import os
import sys

from snapq.cli import interrupts

INTERRUPTED = 130


def main() -> None:
    """Runs the program and ends it with its exit code.

    0: done. 1: done, and a gate failed. 2: wrong input, or it cannot be done here.
    70: a defect of snapq. 130: interrupted.
    """
    try:
        interrupts.listen()
        from snapq.cli.app import app
        from snapq.cli.output.errors import print_renamed_as_notes

        print_renamed_as_notes()
        app()
        return
    except KeyboardInterrupt:  # before a command could take care of it itself
        sys.stderr.write("Interrupted.\n")
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
    # Python ends by SIGINT and not with this code where the interrupt met an import that uses
    # exec, such as that of a dataclass, whatever was made of it afterwards.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED)
