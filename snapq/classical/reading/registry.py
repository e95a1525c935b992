"""The table of operators that are read: what is made of a node."""

from __future__ import annotations

from collections.abc import Callable

from snapq.classical.reading.graph import ML_DOMAIN, Node
from snapq.classical.reading.reader import Reader

Read = Callable[[Reader, Node], None]

_READERS: dict[tuple[str, str], Read] = {}


def reads(*ops: str, domain: str = ML_DOMAIN) -> Callable[[Read], Read]:
    """Enters a function that reads nodes of these operators."""

    def enter(function: Read) -> Read:
        _READERS.update(((domain, op), function) for op in ops)
        return function

    return enter


def has_reader(op: str, domain: str = ML_DOMAIN) -> bool:
    """Whether an operator is read."""
    return (domain, op) in _READERS


def reader_of(node: Node) -> Read | None:
    """The function that reads a node; None where its operator is not covered."""
    return _READERS.get((node.domain, node.op))
