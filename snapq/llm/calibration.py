"""Text of the user's as what a pair is calibrated with and measured on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from snapq.devices.profiles import DeviceProfile
from snapq.errors import DataError
from snapq.llm.chat import questions
from snapq.llm.files import Folder
from snapq.llm.quantize import Target
from snapq.llm.texts import passages
from snapq.llm.tokens import Tokens

__all__ = ["calibration_texts", "read_passages", "target_of"]

_QUESTIONS = 4
"""Paragraphs of a calibration text that also calibrate as questions by the chat template."""


def read_passages(context: int, words: Tokens, text: Path, tokens: int) -> list[list[int]]:
    """The passages of a file of text.

    Args:
        context: positions of a passage.
        words: the tokenizer.
        text: UTF-8.
        tokens: use at most so many.

    Raises:
        DataError: it cannot be read, is no text, or too short.
    """
    return passages(_read(text), words, context, tokens, str(text))


def calibration_texts(folder: Folder, words: Tokens, text: Path, tokens: int) -> list[list[int]]:
    """The passages of a file, and its first paragraphs as questions by the chat template.

    Raises:
        DataError: as `read_passages`.
        ModelError: the template cannot be used.
    """
    found = read_passages(folder.facts.context, words, text, tokens)
    return found + questions(folder, words, _read(text), _QUESTIONS)


def target_of(devices: Sequence[DeviceProfile]) -> Target:
    """What all devices can do."""
    return Target(
        min(device.architecture for device in devices),
        all("fp16" in device.precisions for device in devices),
    )


def _read(text: Path) -> str:
    try:
        return text.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"It cannot be read: {error.strerror}.", where=str(text)) from error
    except UnicodeDecodeError as error:
        raise DataError("It is no text in UTF-8.", where=str(text)) from error
