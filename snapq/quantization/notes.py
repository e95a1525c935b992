"""What quantizing tells the reader: sentences with the nodes that they are about."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["Note", "NoteKind"]


class NoteKind(Enum):
    """What a note is about."""

    PRECISION = auto()
    """Nodes have another type than was asked for, or stay in float."""
    ESTIMATE = auto()
    """The same, because the estimate says that they are faster so."""
    REMOVED = auto()
    """Nodes are left out, as they do nothing in integers."""
    ENCODINGS = auto()
    """Given encodings were changed or dropped."""
    TUNING = auto()
    """What was tried, and what came of it."""
    ADVICE = auto()
    """What the reader could try."""


@dataclass(frozen=True)
class Note:
    """What it is about, the nodes by name (none: the model), and sentences for the reader."""

    kind: NoteKind
    nodes: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return self.text
