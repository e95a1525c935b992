"""The tokens of a pair: its tokenizer, and what the files beside it say of ends and chats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from snapq.errors import ModelError
from snapq.llm.files import FACTS, TOKENIZER, TOKENIZER_CONFIG
from snapq.llm.reading.checkpoint import Vocabulary
from snapq.llm.reading.transformers import read_json
from snapq.llm.tokens import Tokens

__all__ = ["find_tokenizer", "read_vocabulary"]

_TEMPLATE = "chat_template.jinja"


def find_tokenizer(given: Path | None, prefill: Path) -> Path:
    """The tokenizer that is named, or the one beside the first graph. Raises `ModelError`."""
    path = given or prefill.parent / TOKENIZER
    if not path.is_file():
        raise ModelError(
            "There is no tokenizer.",
            where=str(path),
            hint="Name it, `model: {tokenizer: tokenizer.json}`, as the library tokenizers has it.",
        )
    return path


def read_vocabulary(tokenizer: Path) -> Vocabulary:
    """Reads a tokenizer, and from beside it what begins a text, ends an answer, writes a chat.

    1. `llm.json`, as `snapq llm init` writes it, has both ids.
    2. Else `generation_config.json` and `config.json` have them, as Transformers does.
    3. Else `tokenizer_config.json` has the texts of the tokens.

    Raises:
        ModelError: a file is damaged.
        InstallError: a library of the extra `llm` is missing.
    """
    folder = tokenizer.parent
    held = read_json(tokenizer)
    words = Tokens.of(held, str(tokenizer))
    named = _beside(folder, TOKENIZER_CONFIG)
    template = named.get("chat_template")
    if template is None and (folder / _TEMPLATE).is_file():
        template = (folder / _TEMPLATE).read_text(encoding="utf-8", errors="replace")
    beginning: int | None = None
    ends: list[int] = []
    for first, last in _told(folder, words, named):
        beginning = first if beginning is None else beginning
        ends = ends or last
    return Vocabulary(held, beginning, tuple(ends), template if isinstance(template, str) else None)


def _told(
    folder: Path, words: Tokens, named: Mapping[str, Any]
) -> Iterator[tuple[int | None, list[int]]]:
    """What each file says, the one to be believed first."""
    facts = _beside(folder, FACTS)
    yield _first(facts.get("beginning")), _ids(facts.get("ends"))
    for file in ("generation_config.json", "config.json"):
        known = _beside(folder, file)
        yield _first(known.get("bos_token_id")), _ids(known.get("eos_token_id"))
    texts = (_text(named.get("bos_token")), _text(named.get("eos_token")))
    first, last = (None if text is None else words.index(text) for text in texts)
    yield first, [] if last is None else [last]


def _beside(folder: Path, name: str) -> dict[str, Any]:
    return read_json(folder / name) if (folder / name).is_file() else {}


def _ids(value: object) -> list[int]:
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, int) and not isinstance(one, bool)]


def _first(value: object) -> int | None:
    return next(iter(_ids(value)), None)


def _text(value: object) -> str | None:
    """A token as its text, or as Transformers describes it."""
    held = value.get("content") if isinstance(value, dict) else value
    return held if isinstance(held, str) else None
