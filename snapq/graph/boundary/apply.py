"""Gives a finished model the planned boundary: a Q/DQ model, or a float one that runs as fp16."""

from __future__ import annotations

from dataclasses import dataclass, replace

import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.errors import ModelError
from snapq.graph.boundary.inputs import apply_input
from snapq.graph.boundary.outputs import apply_output, planned_output
from snapq.graph.boundary.quantize_nodes import DEQUANTIZE
from snapq.graph.boundary.values import Boundary
from snapq.graph.edit import remove_unused_constants
from snapq.graph.shapes import graph_inputs


@dataclass(frozen=True)
class Applied:
    """A model with its boundary.

    Attributes:
        model: takes and gives what `boundary` says.
        boundary: the plan with every type and encoding filled in from the graph.
    """

    model: ir.Model
    boundary: Boundary


def apply(model: ir.Model, boundary: Boundary) -> Applied:
    """Gives the model the planned inputs and outputs.

    1. A quantized input loses its QuantizeLinear and takes codes. An image's encoding is the
       planned one; others have what the graph says, and stay float where the graph says nothing
       or several things.
    2. An input or output in another layout gets a Transpose as a node unit of its own
       (DequantizeLinear, Transpose, QuantizeLinear), which the provider cancels against the one
       that it puts before its channels-last convolutions. Estimated cycles are the same where it
       stands bare before or after the DequantizeLinear (281,738 on SoC 77 for one model), but the
       provider then refuses it where nothing cancels it.
    3. A quantized output loses its DequantizeLinear and gives codes.
    4. In a float model an image input takes codes all the same, through a DequantizeLinear;
       outputs stay float.

    Args:
        model: the Q/DQ model, or the float one after `fold_normalization`; it is left as it is.
        boundary: what `plan` gave.

    Raises:
        ModelError: the model lacks a planned input; an image input is an output too, so that it
            cannot take codes; or the shape of an output is not known.
    """
    edited = model.clone()
    # Encodings of other tools' models may stand in Constant nodes, which new nodes would precede.
    common.LiftConstantsToInitializersPass(lift_all_constants=True)(edited)
    graph = edited.graph
    notes = list(boundary.notes)
    inputs = {str(value.name): value for value in graph_inputs(edited)}
    quantized = any(node.op_type == DEQUANTIZE for node in graph)
    for item in boundary.inputs:
        if item.name not in inputs:
            raise ModelError("The model lost this input on its way here.", where=item.name)
    taken = tuple(apply_input(graph, inputs[item.name], item, notes) for item in boundary.inputs)
    given = tuple(
        apply_output(graph, index, planned_output(value, boundary))
        for index, value in enumerate(graph.outputs)
    )
    if quantized and boundary.gives_codes:
        notes += [
            f"Output '{item.name}' stays {item.dtype}: the model does not quantize it."
            for item in given
            if not item.quantized and (item.dtype or "").startswith("float")
        ]
    remove_unused_constants(graph)
    done = replace(boundary, inputs=taken, outputs=given, notes=tuple(notes))
    return Applied(edited, done)
