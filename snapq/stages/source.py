"""What every run starts with: the model as given, its shapes frozen; comparisons rest on it."""

from __future__ import annotations

from pathlib import Path

from snapq.graph import foreign, io
from snapq.stages.artifact import MODEL
from snapq.stages.base import Context, Input, Outcome, Reads


def reads(_: None) -> Reads:
    """The file and the shapes."""
    return Reads((Input.MODEL,))


def run(_: None, context: Context, folder: Path) -> Outcome:
    """Writes the model with its shapes frozen. Raises `ModelError`."""
    path, inputs = context.model
    io.save(foreign.freeze(io.load(path), inputs, path), folder / MODEL)
    return Outcome("float")
