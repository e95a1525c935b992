"""An export of a decoder for any number of tokens, fixed to those of a graph of a pair."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from snapq.errors import ModelError
from snapq.graph.shapes import graph_inputs, static_shape

__all__ = ["export_of", "fixed_shapes"]

_EXPORT = "model.onnx"


def export_of(weights: Path) -> Path | None:
    """The ONNX file that is named, or the one of a folder without other weights; else None."""
    if weights.is_dir():
        alone = not any(weights.glob("*.safetensors")) and not any(weights.glob("*.gguf"))
        return weights / _EXPORT if alone and (weights / _EXPORT).is_file() else None
    return weights if weights.suffix == ".onnx" and weights.is_file() else None


def fixed_shapes(
    model: ir.Model, rows: int, context: int, where: str
) -> dict[str, tuple[int, ...]]:
    """Shapes of the dynamic inputs, as exporters of Transformers declare them.

    1. The first dimension, where it is dynamic, is a batch of 1.
    2. Another one of a cache (floats of four dimensions) holds the tokens before the new ones.
    3. That of a mask, or one that is a sum, is the context; any other is the new tokens.

    Args:
        model: the export.
        rows: new tokens at once.
        context: positions that attention sees.
        where: the file, for messages.

    Raises:
        ModelError: no shape is dynamic.
    """
    found = {}
    for value in graph_inputs(model):
        if value.shape is None or static_shape(value) is not None:
            continue
        sizes: list[int] = []
        for axis, size in enumerate(value.shape.dims):
            if isinstance(size, int) and size > 0:
                sizes.append(size)
            elif axis == 0 and len(value.shape) > 1:
                sizes.append(1)
            elif len(value.shape) == 4 and value.dtype is ir.DataType.FLOAT:
                sizes.append(context - rows)
            else:
                summed = "+" in str(getattr(size, "value", "")) or "mask" in str(value.name)
                sizes.append(context if summed else rows)
        found[str(value.name)] = tuple(sizes)
    if not found:
        raise ModelError(
            "The export has fixed shapes, and is one graph of a pair at most.",
            where=where,
            hint="Export it with dynamic shapes, or name both graphs: snapq init P.onnx --decode "
            "D.onnx",
        )
    return found
