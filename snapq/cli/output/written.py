"""Files that a command writes beside its output, or in the place of it: `-` is standard output."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from snapq.errors import ConfigError
from snapq.storage import write_text

_STANDARD_OUTPUT = Path("-")


def only_one_printed(options: Mapping[str, Path | None], *, json: bool) -> None:
    """Refuses two texts on standard output, which no program could tell apart.

    Args:
        options: what each option that takes `-` was given, by how a user would write that.
        json: whether JSON goes there.

    Raises:
        ConfigError: there are two.
    """
    asked = ["--json"] * json + [name for name, path in options.items() if path == _STANDARD_OUTPUT]
    if len(asked) > 1:
        raise ConfigError(
            f"{' and '.join(asked)} would both be printed.",
            hint="Name a file for all but one.",
        )


def printed_or_written(path: Path, text: str) -> bool:
    """Writes a file, or prints the text where the path is `-`; says whether it was printed.

    Raises:
        StorageError: the file cannot be written.
    """
    if path != _STANDARD_OUTPUT:
        write_text(path, text)
        return False
    sys.stdout.write(text)
    sys.stdout.flush()
    return True
