"""What the machine refuses, wherever a command was just then: one sentence, and no defect of ours.

File work is told where it is done (`snapq.storage`); this is for the rest, such as a library that
opens a file, or memory that ends.
"""

from __future__ import annotations

import errno
from pathlib import Path

from snapq.errors import SnapqError, StorageError
from snapq.storage import storage_error

_REFUSALS = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ESTALE, errno.EFBIG),
        *(errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.ETXTBSY),
    }
)
"""Errors of the system that no program can foresee; others may well be defects."""


def require_working_directory() -> None:
    """Refuses to work in a folder that is gone: no path could be told. Raises `StorageError`."""
    try:
        Path.cwd()
    except OSError:
        raise StorageError(
            "The working directory has been deleted, or may not be read.",
            hint="Change to a folder that is there: cd ~",
        ) from None


def of_environment(error: Exception) -> SnapqError | None:
    """The error of ours for one that the machine is the cause of; None for all others."""
    if isinstance(error, MemoryError):
        hint = "Close other programs, or use a machine with more memory."
        return SnapqError("Memory ran out.", hint=hint)
    if isinstance(error, UnicodeEncodeError) and _is_of_a_name(error):
        return StorageError(
            "The name of a file or folder is not UTF-8.",
            where=error.object.encode("utf-8", "backslashreplace").decode(),
            hint="Rename it; the escaped bytes are those that are no text.",
        )
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        return storage_error(error)
    return None


def _is_of_a_name(error: UnicodeEncodeError) -> bool:
    """Whether it is about bytes of a file name that Python could not decode (PEP 383)."""
    part = error.object[error.start : error.end]
    return all("\udc80" <= character <= "\udcff" for character in part)
