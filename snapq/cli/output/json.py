"""JSON on standard output, where a command is given `--json`."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from snapq.errors import SnapqError


_UNSEEN = re.compile(r"[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
"""Characters that a terminal obeys or hides; JSON itself escapes only those below a space."""


def emit(value: Any) -> None:
    """Prints one JSON value on standard output, with escapes for what is not to be seen there."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    text = json.dumps(value, indent=1, ensure_ascii=not encoding.startswith("utf"), default=str)
    typer.echo(_UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def error_values(error: SnapqError) -> dict[str, Any]:
    """An error as JSON values; `mend` is the name of `hint` in versions before 0.2."""
    return {
        "kind": type(error).__name__,
        "what": error.what,
        "where": error.where,
        "hint": error.hint,
        "mend": error.hint,
        **({"log": error.log} if error.log is not None else {}),
        "also": [error_values(other) for other in error.also],
    }
