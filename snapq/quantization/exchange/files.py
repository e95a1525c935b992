"""Reads and writes encodings files, and checks what a file says against a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.errors import ConfigError, nearest
from snapq.quantization.encodings import Encoding
from snapq.quantization.exchange import aimet
from snapq.storage import storage_errors, write_json

__all__ = ["FORMATS", "read", "write"]

FORMATS = {"aimet-0.6.1": aimet.OLD, "aimet-1.0": aimet.NEW}
"""Format name on the command line to the version that the file states."""


def read(path: Path, model: ir.Model) -> aimet.Given:
    """Reads encodings that were made for a float model: AIMET's JSON, 0.4 to 0.6.1 or 1.0.

    Raises:
        ConfigError: the file is not of the format, or names a tensor that the model does not have.
        StorageError: the file cannot be read.
    """
    with storage_errors(path):
        text = path.read_text(encoding="utf-8")
    try:
        document = json.loads(text)
        entries = list(aimet.parse(document))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise _damaged(path, f"it cannot be read ({type(error).__name__}: {error})") from error
    version = str(document.get("version", "0.4.0"))
    if not version.startswith(("0.", "1.")):
        raise _damaged(path, f"its version is {version}")
    if not entries:
        raise _damaged(path, "it lists no tensor")
    settled = model.clone()
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(settled)
    _check_names(path, [entry.name for entry in entries], settled)
    try:
        return aimet.resolve(iter(entries), settled)
    except ValueError as error:
        raise ConfigError(
            f"An encoding does not fit the model: {error}.",
            where=str(path),
            hint="Export the encodings again, for this model.",
        ) from error


def write(
    path: Path, encodings: Mapping[str, Encoding], model: ir.Model, format_: str
) -> tuple[str, ...]:
    """Writes encodings of a float model.

    Returns:
        Names of the tensors that the format has no words for.

    Raises:
        StorageError: the file cannot be written.
    """
    write_json(path, aimet.render(encodings, model, FORMATS[format_]))
    return aimet.left_out(encodings, FORMATS[format_])


def _check_names(path: Path, names: list[str], model: ir.Model) -> None:
    graph = model.graph
    computed = (output for node in graph.all_nodes() for output in node.outputs)
    known = {str(v.name) for v in (*graph.inputs, *graph.initializers.values(), *computed)}
    unknown = [name for name in names if name not in known]
    if not unknown:
        return
    shown = "; ".join(
        f"'{name}'" + (f" (nearest: '{close}')" if (close := nearest(name, known)) else "")
        for name in unknown[:5]
    )
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    raise ConfigError(
        f"{len(unknown)} of {len(names)} tensors are not in the model: {shown}{more}.",
        where=str(path),
        hint="Give the encodings that were exported for this very ONNX file.",
    )


def _damaged(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"This is not a file of AIMET encodings: {why}.",
        where=str(path),
        hint="snapq reads AIMET's JSON encodings, versions 0.4 to 0.6.1 and 1.0.",
    )
