"""Writes ScatterElements and ScatterND that combine values with those that put them in place.

1. `ScatterElements(x, i, u)` and `ScatterND(x, i, u)` with a `reduction`, of constant places that
   are all different = of the values at these places, `GatherElements(x, i)` and `GatherND(x, i)`,
   combined with u, without one.

The provider has no `max` and `min` of ScatterND and no `min` of ScatterElements, takes none of the
latter's in fp16, and its runtime (QAIRT 2.51) rounds its sums of 8 bits twice (34 to 37 dB for 42
to 46, simulated on QCS9075).
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import Shape, static_shape

OPERATORS = ("ScatterElements", "ScatterND")

_COMBINES = {"add": "Add", "mul": "Mul", "max": "Max", "min": "Min"}


def apply(node: ir.Node, edit: Editor) -> Result:
    """Combines the values of one node in front of it."""
    operator = _COMBINES.get(node.attributes.get_string("reduction", "none"))
    source, places, updates = node.inputs
    shape = static_shape(source)
    if operator is None or source is None or shape is None or 0 in shape:
        return False
    indices = constant(places)
    if indices is None:
        return Skipped("its places are computed, and may be the same ones")
    axis = node.attributes.get_int("axis", 0)
    rows = node.op_type == "ScatterND"
    positions = _rows(indices, shape) if rows else _elements(indices, shape, axis % len(shape))
    if np.unique(positions).size < positions.size:
        return Skipped("it combines several values at one place")
    if rows:
        held = edit.op("GatherND", source, places)
    else:
        held = edit.op("GatherElements", source, places, axis=axis)
    combined = edit.op(operator, held, updates)
    result = edit.op(node.op_type, source, places, combined)
    if node.op_type == "ScatterElements":
        maker = result.producer()
        assert maker is not None
        maker.attributes["axis"] = ir.AttrInt64("axis", axis)
    return result


def _rows(indices: np.ndarray, shape: Shape) -> np.ndarray:
    counted = shape[: indices.shape[-1]]
    coordinates = np.moveaxis(indices % np.asarray(counted), -1, 0)
    return np.asarray(np.ravel_multi_index(tuple(coordinates), counted))


def _elements(indices: np.ndarray, shape: Shape, axis: int) -> np.ndarray:
    coordinates = np.indices(indices.shape)
    coordinates[axis] = indices % shape[axis]
    return np.asarray(np.ravel_multi_index(tuple(coordinates), shape))
