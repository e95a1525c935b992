"""What the functions on language models share: folders opened and kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from snapq.errors import ConfigError

if TYPE_CHECKING:
    from snapq.llm.files import Folder
    from snapq.llm.tokens import Tokens

__all__ = ["opened_pair", "refuse_other"]


def opened_pair(folder: str | Path) -> tuple[Folder, Tokens]:
    """A folder of a pair, and its tokenizer."""
    from snapq.llm.files import TOKENIZER, Folder
    from snapq.llm.tokens import Tokens

    opened = Folder.open(Path(folder))
    return opened, Tokens.read(opened.path / TOKENIZER)


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
