"""What a file or folder of weights holds, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snapq.llm.architecture import Decoder
from snapq.llm.weights import Weights

__all__ = ["Checkpoint", "Vocabulary"]


@dataclass(frozen=True)
class Vocabulary:
    """How text becomes tokens.

    Attributes:
        tokenizer: the contents of a `tokenizer.json`.
        beginning: id of the token in front of a text; None where there is none.
        ends: ids of the tokens that end an answer.
        chat_template: Jinja that writes a conversation as text; None where there is none.
    """

    tokenizer: dict[str, Any]
    beginning: int | None
    ends: tuple[int, ...]
    chat_template: str | None


@dataclass(frozen=True)
class Checkpoint:
    """A decoder as it was published.

    Attributes:
        source: the file or folder.
        decoder: its sizes.
        weights: its tensors.
        vocabulary: its tokens.
    """

    source: Path
    decoder: Decoder
    weights: Weights
    vocabulary: Vocabulary
