"""Text to tokens and back, by a `tokenizer.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from snapq.llm.libraries import library, refusals

__all__ = ["Tokens"]


class Tokens:
    """A tokenizer of the library tokenizers."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def of(cls, tokenizer: Mapping[str, Any], where: str) -> Tokens:
        """Makes it of the contents of its file. Raises `ModelError` or `InstallError`."""
        kind = library("tokenizers").Tokenizer
        with refusals("Its tokenizer is damaged", where):
            return cls(kind.from_str(json.dumps(tokenizer)))

    @classmethod
    def read(cls, path: Path) -> Tokens:
        """Reads a file. Raises `ModelError` or `InstallError`."""
        with refusals("It cannot be read as JSON", str(path)):
            value = json.loads(path.read_text(encoding="utf-8"))
        return cls.of(value, str(path))

    @property
    def size(self) -> int:
        """One more than the largest id."""
        return max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    def ids(self, text: str, *, whole: bool = True) -> list[int]:
        """The tokens of a text; `whole` puts those around it that the tokenizer has for a text."""
        return list(self._tokenizer.encode(text, add_special_tokens=whole).ids)

    def token(self, index: int | None) -> str:
        """The text of one token; empty where there is none."""
        return "" if index is None else str(self._tokenizer.id_to_token(index) or "")

    def index(self, token: str) -> int | None:
        """The id of a token by its text; None where there is none."""
        found = self._tokenizer.token_to_id(token)
        return None if found is None else int(found)

    def text(self, ids: Sequence[int]) -> str:
        """The text of tokens, those that are no text left out."""
        return str(self._tokenizer.decode(list(ids)))
