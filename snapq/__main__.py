"""Runs the program: `python -m snapq`."""

from snapq.cli import main

main()
