"""The command line: parses, calls the API, prints. No logic, and no heavy import before use."""

import os
import sys

INTERRUPTED = 130


def main() -> None:
    """Runs the program and ends it with its exit code; see `snapq.cli.app.main`."""
    try:
        from snapq.cli import interrupts

        interrupts.listen()
        from snapq.cli import app

        app.main()
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


__all__ = ["main"]
