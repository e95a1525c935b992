"""What a bundle's files for applications say beside its manifest: labels and state.

Labels are those of the file that the options name, else those that the model has itself: exports of
YOLO (Ultralytics) write their classes as a Python dictionary into the metadata `names`.
"""

from __future__ import annotations

import ast
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import onnx_ir as ir

from snapq.bundle.application import ApplicationFacts
from snapq.errors import ConfigError, DataError
from snapq.graph import io
from snapq.storage import storage_errors

__all__ = ["application_facts", "read_labels"]

_MOST = 1_000_000
_NAMES = "names"


def application_facts(
    labels: Path | None, model: Path, state: Mapping[str, str]
) -> ApplicationFacts:
    """The facts of a model that is packaged.

    Args:
        labels: file with a label a line; None to ask the model.
        model: what is packaged.
        state: output to the input that takes it at the next step.

    Raises:
        DataError: the file cannot be read as labels.
        ConfigError: there are more or fewer labels than classes.
    """
    loaded = io.load(model)
    found = _of_model(loaded) if labels is None else read_labels(labels, loaded)
    return ApplicationFacts(found, state)


def read_labels(path: Path, model: ir.Model) -> tuple[str, ...]:
    """What a file calls the classes of a model. Raises as `application_facts`."""
    found = _of_file(path)
    classes = _classes(model)
    if classes is not None and classes != len(found):
        raise ConfigError(
            f"{path} has {len(found)} lines, and the model gives {classes} classes.",
            where="stages.package.labels",
            hint="Write one label a line, in the order of the classes.",
        )
    return found


def _of_file(path: Path) -> tuple[str, ...]:
    hint = "Write one label a line, in the order of the model's classes, in UTF-8."
    try:
        with storage_errors(path):
            text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("It is not text in UTF-8.", where=str(path), hint=hint) from error
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if lines == [""] or len(lines) > _MOST:
        raise DataError(
            "It has no labels." if lines == [""] else f"It has more than {_MOST:,} lines.",
            where=str(path),
            hint=hint,
        )
    return tuple(map(_plain, lines))


def _of_model(model: ir.Model) -> tuple[str, ...]:
    """Labels out of the metadata; none where they are not 0, 1, 2 and so on, or are no texts."""
    text = model.metadata_props.get(_NAMES, "")
    if not text or len(text) > 1 << 20:
        return ()
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ()
    if isinstance(value, list | tuple):
        value = dict(enumerate(value))
    if not isinstance(value, dict) or sorted(map(str, value)) != sorted(
        map(str, range(len(value)))
    ):
        return ()
    known = {str(key): label for key, label in value.items()}
    found = [known[str(index)] for index in range(len(known))]
    return tuple(map(_plain, found)) if all(isinstance(label, str) for label in found) else ()


def _classes(model: ir.Model) -> int | None:
    """How many classes a classifier has: one output, `[rows, classes]`; None of other models."""
    if len(model.graph.outputs) != 1:
        return None
    shape = model.graph.outputs[0].shape
    if shape is None or len(shape) != 2:
        return None
    classes = shape[1]
    return classes if isinstance(classes, int) and classes > 1 else None


def _plain(text: str) -> str:
    """Without control characters, which could forge what a terminal shows."""
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
