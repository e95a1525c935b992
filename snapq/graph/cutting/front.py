"""A model that begins at tensors inside it: they become inputs, and what made them goes."""

from __future__ import annotations

import onnx_ir as ir

from snapq.errors import ModelError, did_you_mean
from snapq.graph.cutting.values import named_tensors, reroute
from snapq.graph.edit import is_used, remove_dead_nodes, remove_unused_constants
from snapq.graph.inference import infer_shapes
from snapq.graph.shapes import InputShapes, graph_inputs

__all__ = ["begin_at"]


def begin_at(model: ir.Model, shapes: InputShapes) -> ir.Model:
    """The model that takes the inner tensors named in `shapes` as inputs.

    1. A name in `shapes` that is an inner tensor of the main graph becomes an input, of that
       tensor's type.
    2. Nodes and inputs that only those tensors needed go; what other outputs need stays.

    Args:
        model: the model; it is left as it is, and returned where no inner tensor is named.
        shapes: shape or number by name, of inputs and of inner tensors.

    Raises:
        ModelError: there is no such tensor, it is an output of the model, holds no numbers, or
            nothing behind the other inputs reads it.
    """
    inputs = {str(value.name) for value in model.graph.inputs}
    inner = [name for name in shapes if name not in inputs]
    if not inner:
        return model
    begun = model.clone()
    infer_shapes(begun)
    tensors = named_tensors(begun)
    unread = {value for value in graph_inputs(begun) if not is_used(value)}
    for name in inner:
        old = tensors.get(name)
        where = f"model.inputs.{name}"
        if old is None:
            known = [*inputs, *tensors]
            listed = f"Its inputs: {', '.join(sorted(inputs)) or 'none'}."
            raise ModelError(
                f"The model has no input and no tensor '{name}'. {listed}",
                where=where,
                hint=did_you_mean(name, known, "Use one of these names, or an inner tensor's."),
            )
        if old.is_graph_output():
            raise ModelError(
                f"'{name}' is an output of the model, which cannot begin there.", where=where
            )
        if not isinstance(old.type, ir.TensorType) or old.dtype == ir.DataType.STRING:
            raise ModelError(
                f"The type of '{name}' is {old.type or 'not known'}; a model begins at tensors of "
                "numbers.",
                where=where,
                hint="Name another tensor.",
            )
        new = ir.Value(name=name, shape=old.shape, type=old.type)
        reroute(begun.graph, old, new)
        begun.graph.inputs.append(new)
    remove_dead_nodes(begun.graph)
    for value in tuple(graph_inputs(begun)):
        if is_used(value) or value in unread:
            continue
        if value.name in inner:
            raise ModelError(
                f"Nothing reads '{value.name}' where the model begins at the other inputs.",
                where=f"model.inputs.{value.name}",
                hint="Leave it out.",
            )
        begun.graph.inputs.remove(value)
    remove_unused_constants(begun.graph)
    return begun
