"""What the functions on language models share: folders opened, texts read, folders kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from snapq.errors import ConfigError, DataError

if TYPE_CHECKING:
    from snapq.llm.files import Folder
    from snapq.llm.tokens import Tokens

__all__ = ["opened_pair", "passages_of", "refuse_other"]


def opened_pair(folder: str | Path) -> tuple[Folder, Tokens]:
    """A folder of a pair, and its tokenizer."""
    from snapq.llm.files import TOKENIZER, Folder
    from snapq.llm.tokens import Tokens

    opened = Folder.open(Path(folder))
    return opened, Tokens.read(opened.path / TOKENIZER)


def passages_of(folder: Folder, words: Tokens, text: Path, tokens: int) -> list[list[int]]:
    """The passages of a file of text. Raises `DataError`."""
    from snapq.llm.texts import passages

    try:
        held = text.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"It cannot be read: {error.strerror}.", where=str(text)) from error
    except UnicodeDecodeError as error:
        raise DataError("It is no text in UTF-8.", where=str(text)) from error
    return passages(held, words, folder.facts.context, tokens, str(text))


def refuse_other(folder: Path, source: str | Path) -> None:
    """Refuses to replace what is read, or a folder that holds something else than a model."""
    from snapq.llm.files import FACTS

    if Path(source).resolve().is_relative_to(folder.resolve()):
        raise ConfigError(
            "It is what is read, or holds it, and would be replaced as a whole.",
            where=str(folder),
            hint="Name another folder.",
        )
    if folder.is_dir() and any(folder.iterdir()) and not (folder / FACTS).is_file():
        raise ConfigError(
            "The folder holds something else, and would be replaced as a whole.",
            where=str(folder),
            hint="Name a new folder.",
        )
