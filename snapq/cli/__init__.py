"""The command line: parses, calls the API, prints. No logic, and no heavy import before use."""

from snapq.cli.app import main

__all__ = ["main"]
