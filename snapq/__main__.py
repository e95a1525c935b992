"""Runs the program: `python -m snapq`."""

from snapq.cli.main import main

main()
