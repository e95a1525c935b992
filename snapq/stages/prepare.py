"""The prepare stage: static shapes, opset 21, folded, fused, and lowered to what the NPU has."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from snapq.config import PrepareConfig
from snapq.graph import io, prepare
from snapq.quantization.existing_qdq.strip import is_quantized, strip
from snapq.stages.artifact import MODEL
from snapq.stages.base import Context, Input, Outcome, Reads


def reads(options: PrepareConfig) -> Reads:
    """The model as given."""
    return Reads((Input.PREVIOUS,))


def run(options: PrepareConfig, context: Context, folder: Path) -> Outcome:
    """Writes the prepared model into `folder`.

    Raises:
        ModelError: the model cannot be read, frozen or handled; the node or input is named.
        ConfigError: `options.skip` names a pass that does not exist.
    """
    return write(io.load(context.previous.model), options, folder)


def write(model: ir.Model, options: PrepareConfig, folder: Path) -> Outcome:
    """As `run`, of a model that is loaded already."""
    came: tuple[str, ...] = ()
    if is_quantized(model):
        stripped = strip(model)
        model = stripped.model
        count = len(stripped.encodings)
        came = (f"The model came quantized, with {count} encodings; this is its float form.",)
    prepared = prepare.prepare(model, {}, options.skip)
    io.save(prepared.model, folder / MODEL)
    return Outcome(
        precision="float",
        notes=(*came, *prepared.notes),
        details={"passes": prepared.applied, "nodes": len(prepared.model.graph)},
    )
