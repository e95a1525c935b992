"""JSON on standard output, where a command is given `--json`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from snapq.errors import SnapqError


def emit(value: Any) -> None:
    """Prints one JSON value on standard output."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False, default=str))


def error_values(error: SnapqError) -> dict[str, Any]:
    """An error as JSON values; `mend` is the name of `hint` in versions before 0.2."""
    return {
        "kind": type(error).__name__,
        "what": error.what,
        "where": error.where,
        "hint": error.hint,
        "mend": error.hint,
        "also": [error_values(other) for other in error.also],
    }
