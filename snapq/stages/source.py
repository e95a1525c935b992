"""What every run starts with: the model as given, its shapes frozen; comparisons rest on it.

Of a model that is cut it is the part in front of the cut; what is behind stands beside it. Of a
classical model only the number of rows is fixed.
"""

from __future__ import annotations

from pathlib import Path

from snapq.bundle import TAIL
from snapq.graph import classical, io
from snapq.graph.cutting import open_given
from snapq.stages.artifact import MODEL
from snapq.stages.base import Context, Input, Outcome, Reads


def reads(_: None) -> Reads:
    """The file, the shapes, and where to cut."""
    return Reads((Input.MODEL,))


def run(_: None, context: Context, folder: Path) -> Outcome:
    """Writes the model with its shapes frozen. Raises `ModelError`."""
    path, shapes, outputs = context.model
    given = io.load(path)
    if classical.is_classical(given):
        classical.fix_rows(given, shapes)
        io.save(given, folder / MODEL)
        return Outcome("float")
    found = open_given(path, shapes, outputs, given)
    io.save(found.model, folder / MODEL)
    if found.tail is None:
        return Outcome("float", notes=found.notes)
    io.save(found.tail, folder / TAIL)
    return Outcome("float", notes=found.notes, details={"tail_outputs": list(found.outputs)})
