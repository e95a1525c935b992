"""Gathers by constant coordinates along one dimension.

1. `GatherND(x, i)` with constant i becomes Reshape, which merges the dimensions that i
   counts through, and Gather of their positions, or Reshape alone where i takes all in their order.
   Results of more than 4 dimensions, for which the compiler has no room, are gathered as rows.
2. `GatherND(x, i)` with computed i that counts through one dimension becomes Gather; batches that
   there is one of go before, and come back behind.

PyTorch indexes attention masks so. The NPU's GatherND takes no booleans (QAIRT 2.51).
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, integers
from snapq.graph.passes.base import Result
from snapq.graph.shapes import Shape, static_shape

OPERATORS = ("GatherND",)

_MOST_DIMENSIONS = 4


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one GatherND as a Gather or a Reshape."""
    source, shape, indices = node.inputs[0], static_shape(node.inputs[0]), constant(node.inputs[1])
    batch = node.attributes.get_int("batch_dims", 0)
    if source is None or shape is None or 0 in shape:
        return False
    if indices is None:
        return _computed(node, source, shape, batch, edit)
    if 0 in indices.shape:
        return False
    counted = batch + indices.shape[-1]
    positions = _positions(indices.astype(np.int64), shape[:counted], batch)
    size, rest = prod(shape[:counted]), shape[counted:]
    if np.array_equal(positions.reshape(-1), np.arange(size)):
        result = edit.op("Reshape", source, integers(*positions.shape, *rest))
    elif positions.ndim + len(rest) > _MOST_DIMENSIONS:
        flat = edit.op("Reshape", source, integers(size, prod(rest)))
        picked = edit.op("Gather", flat, positions.reshape(-1), axis=0)
        result = edit.op("Reshape", picked, integers(*positions.shape, *rest))
    else:
        flat = edit.op("Reshape", source, integers(size, *rest))
        result = edit.op("Gather", flat, positions, axis=0)
    return result


def _computed(node: ir.Node, source: ir.Value, shape: Shape, batch: int, edit: Editor) -> Result:
    """A Gather of rows that are computed."""
    depth = static_shape(node.inputs[1])
    if depth is None or depth[-1:] != (1,) or 0 in depth or prod(shape[:batch]) != 1:
        return False
    rows = edit.op("Reshape", node.inputs[1], integers(*depth[batch:-1]))
    if not batch:
        return edit.op("Gather", source, rows, axis=0)
    flat = edit.op("Reshape", source, integers(*shape[batch:]))
    result = edit.op("Gather", flat, rows, axis=0)
    return edit.op("Reshape", result, integers(*depth[:-1], *shape[batch + 1 :]))


def _positions(indices: np.ndarray, shape: Shape, batch: int) -> np.ndarray:
    """Row-major positions, `[*batch dimensions, ...]`, of coordinates `[..., counted - batch]`."""
    outer = np.indices(indices.shape[:-1])[:batch]
    inner = np.moveaxis(indices, -1, 0)
    coordinates = (*outer, *(item % size for item, size in zip(inner, shape[batch:], strict=True)))
    return np.asarray(np.ravel_multi_index(coordinates, shape), np.int64)
