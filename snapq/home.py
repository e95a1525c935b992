"""The user's folders: `~`, and where snapq keeps what outlives a run.

A service or a container may have neither HOME nor an entry of its user in the system's list: then
there is no home, what would lie there counts as absent, and only who must write there is told.
"""

from __future__ import annotations

import os
from pathlib import Path

from snapq.errors import StorageError


def expanded(path: Path | str) -> Path:
    """`path` with the home folder in the place of `~`.

    Raises:
        StorageError: there is no home folder, or no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        user = Path(path).parts[0][1:]
        what = f"There is no user `{user}` here." if user else "There is no home folder."
        hint = "Write the whole path." if user else "Set HOME, or write the whole path."
        raise StorageError(what, where=str(path), hint=hint) from None


def expanded_or_none(path: Path | str) -> Path | None:
    """As `expanded`; None where there is no home, and so nothing in it."""
    try:
        return expanded(path)
    except StorageError:
        return None


CACHE_VARIABLE = "SNAPQ_CACHE"


def cache_path() -> Path:
    """What can be fetched or built again: `$SNAPQ_CACHE`, else `~/.cache/snapq`.

    Raises:
        StorageError: there is no home folder.
    """
    found = user_path("snapq", variable=CACHE_VARIABLE, base="XDG_CACHE_HOME", otherwise="~/.cache")
    return found.absolute()


def user_path(name: str, *, variable: str, base: str, otherwise: str) -> Path:
    """Where something of the user's is.

    Args:
        name: path below the base folder.
        variable: environment variable that names the place itself, such as `SNAPQ_HISTORY`.
        base: environment variable that names the base folder, such as `XDG_DATA_HOME`.
        otherwise: the base folder where that is not set, such as `~/.local/share`.

    Raises:
        StorageError: there is no home folder.
    """
    given = os.environ.get(variable)
    if given:
        return expanded(given)
    try:
        return expanded(os.environ.get(base) or otherwise) / name
    except StorageError as error:
        hint = f"Set HOME, or name the place in {variable}."
        raise StorageError(error.what, where=f"{otherwise}/{name}", hint=hint) from None
