"""Constants that have to be there for each sample of a batch."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.batch.place import Batch, NoBatchError, Place
from snapq.graph.edit import add_constant, free_name, input_at

__all__ = ["repeat_operands"]

_QDQ = ("QuantizeLinear", "DequantizeLinear")


def repeat_operands(graph: ir.Graph, batch: Batch, size: int) -> None:
    """Puts a constant of the batch in the place of each operand that is to be repeated.

    Raises:
        NoBatchError: an operand is computed by other nodes than Q and DQ.
    """
    made: dict[tuple[ir.Value, Place], ir.Value] = {}
    for (node, index), place in batch.repeated.items():
        value = node.inputs[index]
        assert value is not None
        node.replace_input_with(index, _repeated(graph, node, value, place, size, made))


def _repeated(
    graph: ir.Graph,
    user: ir.Node,
    value: ir.Value,
    place: Place,
    size: int,
    made: dict[tuple[ir.Value, Place], ir.Value],
) -> ir.Value:
    """1. An initializer is repeated. 2. Of Q and DQ there is another one, in the same encoding."""
    if (value, place) in made:
        return made[value, place]
    maker = value.producer()
    name = free_name(graph, f"{value.name}_batch")
    if value.const_value is not None:
        array = _copies(value.const_value.numpy(), place, size)
        found = add_constant(graph, name, array, value.const_value.dtype)
    elif maker is not None and maker.op_type in _QDQ:
        inner = _repeated(graph, user, maker.inputs[0], place, size, made)  # type: ignore[arg-type]
        inputs = [inner, *maker.inputs[1:]]
        scale = input_at(maker, 1)
        channels = (
            scale is not None and scale.shape is not None and scale.shape.numpy() not in ((), (1,))
        )
        if channels and maker.attributes.get_int("axis", 1) % len(inner.shape or ()) == place.axis:
            whole = Place(0, place.outer)
            inputs[1:] = [
                _repeated(graph, user, one, whole, size, made) for one in maker.inputs[1:] if one
            ]
        clone = ir.node(
            maker.op_type,
            inputs,
            attributes=dict(maker.attributes),
            domain=maker.domain,
            name=free_name(graph, f"{maker.name}_batch"),
        )
        found = clone.outputs[0]
        found.name, found.type = name, value.type
        found.shape = (
            None if value.shape is None else ir.Shape(place.grown(value.shape.numpy(), size))
        )
        graph.insert_before(user, clone)
    else:
        raise NoBatchError(user, f"takes '{value.name}', which other nodes compute once for all")
    made[value, place] = found
    return found


def _copies(array: np.ndarray, place: Place, size: int) -> np.ndarray:
    """`[…, outer * inner, …]` as `[…, outer * size * inner, …]`."""
    shape = array.shape
    front, behind = shape[: place.axis], shape[place.axis + 1 :]
    inner = shape[place.axis] // place.outer
    apart = array.reshape(*front, place.outer, 1, inner, *behind)
    repeated = np.repeat(apart, size, axis=len(front) + 1)
    return repeated.reshape(place.grown(shape, size))
