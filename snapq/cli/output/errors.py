"""Errors and warnings on standard error."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from snapq.cli.output.json import emit, error_values
from snapq.cli.output.text import warn
from snapq.cli.verbosity import verbosity
from snapq.errors import LeftOutWarning, RenamedWarning, SnapqError, StorageError
from snapq.report.progress import Verbosity

_ARGUMENT = re.compile(r" \([a-z_]+=[^()]*\)")
"""What a hint says beside an option to whoever calls from Python."""


def report_error(error: SnapqError) -> None:
    """Prints an error as one block on standard error, or as JSON where that was asked for."""
    if _asked_for_json():
        emit({"error": error_values(error)})
        return
    for one in (error, *error.also):
        head = f"{one.where}: {one.what}" if one.where else one.what
        warn(f"error: {head}", "red")
        if one.hint:
            warn(f"       {_ARGUMENT.sub('', one.hint)}")
    if error.log is not None:
        warn(f"       Log: {error.log}")
    if verbosity() is Verbosity.VERBOSE:
        for line in "".join(traceback.format_exception(error)).splitlines():
            warn(line)


def report_internal(error: BaseException) -> None:
    """Prints that snapq has a defect, and writes the traceback to a file to report."""
    what = f"{type(error).__name__}: {error}"
    hint = f"This is a defect of snapq. Please report it with {_traceback_file(error)}"
    if _asked_for_json():
        emit({"error": _values("InternalError", what, None, hint)})
    warn(f"internal error: {what}", "red")
    warn(f"       {hint}", "red")


def told_usage(error: Exception) -> int | None:
    """Prints a wrong use of the command line as JSON where that was asked for.

    Returns:
        The exit code; None where it was not asked for, and is yet to be told.
    """
    said = getattr(error, "format_message", None)
    if said is None or not _asked_for_json():
        return None
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "snapq"
    emit({"error": _values("UsageError", said(), command, f"See: {command} --help")})
    return int(getattr(error, "exit_code", 2))


@contextmanager
def storage_warning(what: str) -> Iterator[None]:
    """Prints a warning where a `StorageError` ends the block, and carries on."""
    try:
        yield
    except StorageError as error:
        warn(f"warning: {what}: {error}", "yellow")


def print_renamed_as_notes() -> None:
    """Lets a warning of snapq's own, such as that of a new name, appear as one plain line."""
    standard = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **named: Any) -> None:
        if issubclass(category, RenamedWarning | LeftOutWarning):
            warn(f"note: {message}", "yellow")
        else:
            standard(message, category, *where, **named)

    warnings.showwarning = show


def _asked_for_json() -> bool:
    return "--json" in sys.argv


def _values(kind: str, what: str, where: str | None, hint: str) -> dict[str, Any]:
    """An error that is no `SnapqError` in the form of one."""
    values = error_values(SnapqError(" ".join(what.split()), where=where, hint=hint))
    return {**values, "kind": kind}


def _traceback_file(error: BaseException) -> str:
    """Writes the traceback; says where it is, or prints it where no file can be written."""
    try:
        handle, name = tempfile.mkstemp(prefix="snapq-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
    except OSError:
        traceback.print_exception(error)
        return "the lines above."
    return f"the file {name}"
