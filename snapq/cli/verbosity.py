"""How much a command tells on standard error: `-q` and `-v`, before or behind its name."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from itertools import pairwise

from snapq.errors import ConfigError
from snapq.report.progress import Verbosity

_WORDS = {
    "-q": Verbosity.QUIET,
    "--quiet": Verbosity.QUIET,
    "-v": Verbosity.VERBOSE,
    "--verbose": Verbosity.VERBOSE,
}
_CHOSEN: ContextVar[Verbosity] = ContextVar("verbosity", default=Verbosity.NORMAL)


def take_verbosity(args: Sequence[str]) -> list[str]:
    """Takes `-q` and `-v` out of the arguments of a command line, up to a `--`, and heeds them.

    Raises:
        ConfigError: both are given.
    """
    end = args.index("--") if "--" in args else len(args)
    for place, pair in enumerate(pairwise(args[:end])):
        if pair == ("emulate", "shell"):  # what is behind is a command for the board
            end = place + 2
            break
    given = {_WORDS[word] for word in args[:end] if word in _WORDS}
    if len(given) > 1:
        raise ConfigError("Both --quiet and --verbose are given.", hint="Give one of them.")
    _CHOSEN.set(next(iter(given), Verbosity.NORMAL))
    return [word for word in args[:end] if word not in _WORDS] + list(args[end:])


def verbosity() -> Verbosity:
    """How much the command that runs is to tell."""
    return _CHOSEN.get()
