"""What is kept of the NPU's answers: within a process, and from one run to the next."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

__all__ = ["Memo", "Memory"]

T = TypeVar("T")


class Memo(Protocol):
    """What earlier runs found out, by key; a pipeline's cache."""

    def key(self, kind: str, **parts: object) -> str:
        """Hash of everything that a value depends on."""

    def value(self, key: str) -> Any | None:
        """The kept JSON value; None where there is none."""

    def keep_value(self, key: str, value: Any) -> None:
        """Keeps a JSON value."""


class Memory:
    """Answers that are asked for once.

    Args:
        memo: keeps them from one run to the next; None keeps them as long as this object.
    """

    def __init__(self, memo: Memo | None = None) -> None:
        self._memo = memo
        self._held: dict[str, Any] = {}

    def recall(
        self,
        kind: str,
        parts: dict[str, object],
        make: Callable[[], Any],
        read: Callable[[Any], T],
    ) -> T:
        """What is kept, or what `make` gives now; an error is not kept.

        Args:
            kind: of the value.
            parts: all that the value depends on.
            make: makes it, as a JSON value.
            read: makes the answer of it; what it cannot read is made again.
        """
        held = json.dumps([kind, parts], sort_keys=True, default=str)
        if held not in self._held:
            key = "" if self._memo is None else self._memo.key(kind, **parts)
            value = None if self._memo is None else self._memo.value(key)
            if value is None or not _is_readable(value, read):
                value = make()
                if self._memo is not None:
                    self._memo.keep_value(key, value)
            self._held[held] = value
        return read(self._held[held])


def _is_readable(value: Any, read: Callable[[Any], object]) -> bool:
    try:
        read(value)
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    return True
