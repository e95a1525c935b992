"""Values of a configuration, found to be of the kind that they must be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from snapq.errors import ModelError

__all__ = ["Values"]


class Values:
    """The keys of a `config.json`, or the fields of a GGUF file.

    Args:
        values: by key.
        where: the file, for messages.
        prefix: in front of each key.
    """

    def __init__(self, values: Mapping[str, Any], where: str, prefix: str = "") -> None:
        self._values = values
        self._prefix = prefix
        self.where = where

    def get(self, key: str) -> Any:
        """The value of a key; None where it has none."""
        return self._values.get(self._prefix + key)

    def integer(self, key: str, otherwise: int | None = None) -> int:
        """A whole number. Raises `ModelError` where there is none and no other is given."""
        value = self.get(key)
        if value is None and otherwise is not None:
            return otherwise
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(key, "a whole number")
        return value

    def real(self, key: str, otherwise: float | None = None) -> float:
        """A finite number. Raises `ModelError` where there is none and no other is given."""
        value = self.get(key)
        if value is None and otherwise is not None:
            return otherwise
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(key, "a number")
        try:
            real = float(value)
        except OverflowError:
            real = math.inf
        if not math.isfinite(real):
            raise self.wrong(key, "a number")
        return real

    def refuse(self, key: str, why: str) -> ModelError:
        """The error for a value that says that the model is of another kind."""
        shown = repr(self.get(key))
        shown = shown if len(shown) <= 60 else f"{shown[:60]}…"
        return ModelError(
            f"`{self._prefix}{key}` is {shown}: {why}.",
            where=self.where,
            hint="docs/how-to/language_models.md lists what is taken.",
        )

    def wrong(self, key: str, kind: str) -> ModelError:
        """The error for a value that is missing or of another kind."""
        value = self.get(key)
        found = "missing" if value is None else f"{repr(value)[:60]}, and not {kind}"
        return ModelError(f"`{self._prefix}{key}` is {found}.", where=self.where)
