"""Names of a model as C identifiers, and values as literals of the languages of the samples."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import numpy as np

__all__ = [
    "c_comment",
    "c_double",
    "c_float",
    "c_int",
    "c_text",
    "identifiers",
    "markdown_cell",
    "quoted",
]

_MOST = 60
_PLAIN = frozenset(chr(code) for code in range(32, 127)) - set('"\\?')


def identifiers(names: Sequence[str], words: frozenset[str] = frozenset()) -> list[str]:
    """An identifier for each name, different even where case does not count.

    Args:
        names: any texts.
        words: what no identifier may be.
    """
    used = {word.lower() for word in words}
    found = []
    for number, name in enumerate(names):
        plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:_MOST].strip("_")
        wanted = plain or f"tensor{number}"
        chosen, count = wanted, 1
        while chosen.lower() in used:
            count += 1
            chosen = f"{wanted}_{count}"
        used.add(chosen.lower())
        found.append(chosen)
    return found


def c_text(text: str) -> str:
    """A string literal of C and C++: other bytes than plain ones as three octal digits.

    A question mark is escaped as well: two and a third character could be a trigraph.
    """
    parts = (
        letter if letter in _PLAIN else "".join(f"\\{byte:03o}" for byte in letter.encode("utf-8"))
        for letter in text
    )
    return f'"{"".join(parts)}"'


def c_comment(text: str) -> str:
    """Text that ends no comment, and opens none."""
    return text.replace("*/", "* /").replace("/*", "/ *").replace("\\", "/").replace("??", "? ?")


def c_float(value: float) -> str:
    """The nearest number of 32 bits, to the last bit."""
    return f"{_with_point(repr(float(str(np.float32(value)))))}f"


def c_double(value: float) -> str:
    """A number of 64 bits, to the last bit."""
    return _with_point(repr(float(value)))


def c_int(value: int) -> str:
    """A whole number; the lowest of 32 bits has no literal of its own."""
    if value == -(2**31):
        return "(-2147483647 - 1)"
    return str(value) if value >= 0 else f"({value})"


def markdown_cell(text: str) -> str:
    """Text inside a table of Markdown, or between its backticks."""
    return text.replace("|", "\\|").replace("`", "'")


def quoted(text: str, language: str) -> str:
    """A string literal of `python`, `csharp` or `kotlin`."""
    found = json.dumps(text)
    return found.replace("$", "\\$") if language == "kotlin" else found


def _with_point(text: str) -> str:
    return text if any(mark in text for mark in ".e") else f"{text}.0"
