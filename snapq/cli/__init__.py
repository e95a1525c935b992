"""The command line: parses, calls the API, prints. No logic, and no heavy import before use."""

import sys


def main() -> None:
    """Runs the program and ends it with its exit code; see `snapq.cli.app.main`."""
    try:
        from snapq.cli import app

        app.main()
    except KeyboardInterrupt:  # before a command could take care of it itself
        sys.stderr.write("Interrupted.\n")
        sys.exit(130)


__all__ = ["main"]
