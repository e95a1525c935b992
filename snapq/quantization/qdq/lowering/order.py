"""The lowerings in the order in which they run, and why each stands where it does.

To add one, add a file to this folder with a function of the same signature, and a line here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.graph.inference import infer_shapes
from snapq.quantization.precision_rules.keep_wide import keep_wide
from snapq.quantization.qdq.lowering.average_bins_by_maps import average_bins_by_maps
from snapq.quantization.qdq.lowering.convert_to_blocked_conv import convert_to_blocked_conv
from snapq.quantization.qdq.lowering.divide_for_reciprocal import divide_for_reciprocal
from snapq.quantization.qdq.lowering.expand_float_only import expand_float_only
from snapq.quantization.qdq.lowering.expand_softplus import expand_softplus
from snapq.quantization.qdq.lowering.multiply_repeated_rows import multiply_repeated_rows
from snapq.quantization.qdq.lowering.multiply_wide_channels import multiply_wide_channels
from snapq.quantization.qdq.lowering.pad_first_conv import pad_first_conv
from snapq.quantization.qdq.lowering.pad_gathered_rows import pad_gathered_rows
from snapq.quantization.qdq.lowering.reshape_to_channels_last import reshape_to_channels_last
from snapq.quantization.qdq.lowering.separate_gathered_elements import separate_gathered_elements
from snapq.quantization.qdq.lowering.separate_reshaped_products import separate_reshaped_products
from snapq.quantization.qdq.lowering.slice_read_parts import slice_read_parts
from snapq.quantization.qdq.lowering.split_clip import split_clip
from snapq.quantization.qdq.lowering.split_prelu import split_prelu
from snapq.quantization.qdq.lowering.split_swish import split_swish
from snapq.quantization.qdq.lowering.square_tanh_rows import square_tanh_rows
from snapq.quantization.qdq.lowering.unroll_recurrent import unroll_recurrent
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["LOWERINGS", "LoweredModel", "lifted", "lower"]

Lowering = Callable[[ir.Graph, Scheme], Scheme]
"""Rewrites a graph in place, and gives the scheme for what the graph is then."""

LOWERINGS: tuple[tuple[Lowering, str], ...] = (
    (unroll_recurrent, "the cells have to be there before rules look for them"),
    (slice_read_parts, "behind unroll_recurrent, at whose first step a gate has nothing to do"),
    (expand_float_only, "before the rules, which look for squares on their way to a root"),
    (split_swish, "the sigmoids have to be there before rules look for cells and heads"),
    (expand_softplus, "reads the precision of its node; moves no other name"),
    (divide_for_reciprocal, "the same"),
    (average_bins_by_maps, "the same; before the rules, which name nodes that are quantized"),
    (pad_gathered_rows, "moves no name; adds nothing that others look for"),
    (split_clip, "likewise"),
    (split_prelu, "reads the precision of its node; moves no other name"),
    (pad_first_conv, "reads the precision that the user gave the Conv; moves no other name"),
    (reshape_to_channels_last, "the same"),
    (convert_to_blocked_conv, "behind the Reshapes, as it adds some that are right as they are"),
    (separate_gathered_elements, "adds nothing that others look for"),
    (separate_reshaped_products, "adds nothing that others look for"),
    (keep_wide, "behind what computes: its rules name nodes of the graph that is quantized"),
    (multiply_wide_channels, "behind the rules, which leave some of its nodes in float"),
    (multiply_repeated_rows, "behind the rules, which say what has 16 bits"),
    (square_tanh_rows, "behind the rules, which say what has 16 bits; adds data movement only"),
)


@dataclass(frozen=True)
class LoweredModel:
    """A copy of a float model in the form in which it is quantized, and the scheme for that."""

    model: ir.Model
    scheme: Scheme


def lower(model: ir.Model, scheme: Scheme) -> LoweredModel:
    """Lowers a copy of a prepared float model; every new tensor has its shape, as others have."""
    copy = lifted(model)
    known = set(copy.graph)
    for lowering, _ in LOWERINGS:
        scheme = lowering(copy.graph, scheme)
        added = set(copy.graph) - known
        if any(value.shape is None for node in added for value in node.outputs):
            infer_shapes(copy)
        known |= added
    return LoweredModel(copy, scheme)


def lifted(model: ir.Model) -> ir.Model:
    """A copy of a model with all its constants as initializers."""
    copy = model.clone()
    if any(node.op_type == "Constant" for node in copy.graph.all_nodes()):
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(copy)
    return copy
