"""Constants of a graph: reading what values hold, and arrays for new ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

_LARGE = 1 << 20
_COLUMNS = 16
"""Of a matrix that is turned round, so many columns at once: the rows they come from are read as
they lie in memory, and stay in the processor's cache. All at once takes ten times as long."""


def constant(value: ir.Value | None) -> np.ndarray | None:
    """The constant that the value holds, else None. Callers must not write to it."""
    if value is None or value.const_value is None or value.is_graph_input():
        return None
    return value.const_value.numpy()


def scalar(value: ir.Value | None) -> float | None:
    """The number that a one-element constant holds, else None."""
    if value is None or value.const_value is None or value.const_value.size != 1:
        return None
    array = constant(value)
    return None if array is None else float(array.reshape(()))


def constant_ints(value: ir.Value | None) -> tuple[int, ...] | None:
    """The integers that a constant holds, flattened, else None."""
    array = constant(value)
    if array is None or not np.issubdtype(array.dtype, np.integer):
        return None
    return tuple(int(item) for item in array.reshape(-1))


def constant_operand(node: ir.Node) -> tuple[ir.Value, np.ndarray] | None:
    """The variable and the constant input of a node of two inputs, in either order."""
    left, right = node.inputs[0], node.inputs[1]
    for variable, other in ((left, right), (right, left)):
        array = constant(other)
        if array is not None and variable is not None and constant(variable) is None:
            return variable, array
    return None


def aligned(array: np.ndarray, shape: Sequence[int], axis: int) -> np.ndarray | None:
    """The vector along `axis` that `array`, broadcast to `shape`, holds; None where it holds more.

    Array `[64, 1, 1]`, shape `[1, 64, 7, 7]`, axis 1 -> `[64]`.
    """
    if array.ndim > len(shape):
        return None
    full = array.reshape((1,) * (len(shape) - array.ndim) + array.shape)
    others = [dim for index, dim in enumerate(full.shape) if index != axis]
    if any(dim != 1 for dim in others) or full.shape[axis] not in (1, shape[axis]):
        return None
    return np.broadcast_to(full.reshape(-1), (shape[axis],))


def row_major(array: np.ndarray) -> np.ndarray:
    """The array with its elements one behind the other; a copy where they are not."""
    if array.flags.c_contiguous or array.ndim != 2 or array.nbytes < _LARGE:
        return np.asarray(array, order="C")
    result = np.empty(array.shape, array.dtype)
    for start in range(0, array.shape[1], _COLUMNS):
        part = slice(start, start + _COLUMNS)
        result[:, part] = array[:, part]
    return result


def number(value: float) -> np.ndarray:
    """A 32-bit float constant of no dimensions."""
    return np.array(value, np.float32)


def integers(*values: int) -> np.ndarray:
    """A constant list of 64-bit integers."""
    return np.array(values, np.int64)
