"""Errors and warnings on standard error."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from snapq.cli.output.json import emit, error_values
from snapq.errors import RenamedWarning, SnapqError, StorageError


def report_error(error: SnapqError) -> None:
    """Prints an error as one block on standard error, or as JSON where that was asked for."""
    if "--json" in sys.argv:
        emit({"error": error_values(error)})
        return
    for one in (error, *error.also):
        head = f"{one.where}: {one.what}" if one.where else one.what
        typer.secho(f"error: {head}", fg="red", err=True)
        if one.hint:
            typer.echo(f"       {one.hint}", err=True)


def report_internal(error: BaseException) -> None:
    """Prints that snapq has a defect, and writes the traceback to a file to report."""
    handle, name = tempfile.mkstemp(prefix="snapq-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    typer.secho(
        f"internal error: {type(error).__name__}: {error}\n"
        f"       This is a defect of snapq. Please report it with the file {name}",
        fg="red",
        err=True,
    )


@contextmanager
def storage_warning(what: str) -> Iterator[None]:
    """Prints a warning where a `StorageError` ends the block, and carries on."""
    try:
        yield
    except StorageError as error:
        typer.secho(f"warning: {what}: {error}", fg="yellow", err=True)


def print_renamed_as_notes() -> None:
    """Lets a warning that something has a new name appear as one plain line."""
    standard = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **named: Any) -> None:
        if issubclass(category, RenamedWarning):
            typer.secho(f"note: {message}", fg="yellow", err=True)
        else:
            standard(message, category, *where, **named)

    warnings.showwarning = show
