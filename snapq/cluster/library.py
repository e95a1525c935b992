"""dask.distributed, the library of the extra `cluster`, imported when it is first needed."""

from __future__ import annotations

import logging
from importlib import import_module
from types import ModuleType

from snapq.errors import InstallError

__all__ = ["library"]

_LOGGERS = ("distributed", "distributed.client", "distributed.core", "distributed.comm", "tornado")


def library() -> ModuleType:
    """Imports dask.distributed, and keeps its own log off the terminal.

    Raises:
        InstallError: it is not installed, or does not load.
    """
    try:
        found = import_module("distributed")
    except ImportError as error:
        raise InstallError(
            f"A cluster needs dask.distributed, which cannot be imported ({error}).",
            where="--cluster",
            hint="Run: pip install distributed",
        ) from error
    for name in _LOGGERS:  # what matters of it is told as an error of ours
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return found
