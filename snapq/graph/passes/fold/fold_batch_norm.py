"""Folds BatchNormalization into the layer in front of it.

1. `BatchNormalization(f(x), scale, bias, mean, variance)` with constants, of a Conv,
   ConvTranspose, Gemm or normalization f that nothing else uses, becomes f with other weights.
2. Training-mode nodes stay, and those behind a normalization along another axis.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, rank
from snapq.graph.edit.layers import SHIFTABLE, layer_before, scale_and_shift
from snapq.graph.passes.base import Result, Skipped
from snapq.operators import spec

OPERATORS = ("BatchNormalization",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Moves the scale and shift of one BatchNormalization into the layer that feeds it."""
    affine = batch_norm_affine(node)
    if affine is None:
        return Skipped("it is in training mode, or its parameters are computed")
    layer = layer_before(node.inputs[0], SHIFTABLE)
    if layer is None:
        return Skipped("no layer with constant weights makes its input for it alone")
    if not _same_axis(layer):
        return Skipped(f"the channels of the {layer.op_type} lie along another axis")
    scale_and_shift(layer, edit, *affine)
    return layer.outputs[0]


def _same_axis(layer: ir.Node) -> bool:
    """Whether the channels of the layer are those of BatchNormalization, along axis 1."""
    dims, axis = rank(layer.outputs[0]), spec(layer.op_type).channel_axis
    return dims is not None and axis is not None and axis % dims == 1


def batch_norm_affine(node: ir.Node) -> tuple[np.ndarray, np.ndarray] | None:
    """Scale and shift `[C]`, in float64, that the node applies at inference."""
    arrays = [constant(value) for value in node.inputs[1:5]]
    if node.attributes.get_int("training_mode", 0) or len(node.outputs) != 1:
        return None
    known = [array.astype(np.float64) for array in arrays if array is not None]
    if len(known) != 4:
        return None
    scale, bias, mean, variance = known
    factor = scale / np.sqrt(variance + node.attributes.get_float("epsilon", 1e-5))
    return factor, bias - mean * factor
