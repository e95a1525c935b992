"""The mean of a small map of many channels, by a product.

1. In float, `ReduceMean(x, [2, 3])` of `[1, C, H, W]`, of at most 48 places and at least 256
   channels, becomes `row @ x` over places, of a row of `1 / (H W)`.

Classifiers of small pictures end so. On v73 in fp16 the mean of such maps takes several times what
the product does. Estimated in us on QCS9075 and SA8797P (QAIRT 2.51) behind a layer of one tap and
in front of another: 1,024 channels of 3 x 2 76 and 7 against 11 and 10, of 6 x 6 84 and 7 against
26 and 14, 960 of 5 x 9 99 and 24 against 22 and 15; 512 of 7 x 7 20 and 6 against 27 and 12.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, integers, is_float, is_op, producer, reduced_axes
from snapq.graph.shapes import Shape, static_shape
from snapq.npu.judged.copies import changed_copy

__all__ = ["apply", "in_integers", "sites"]

_RANK, _MOST_PLACES, _LEAST_CHANNELS = 4, 48, 256


def sites(model: ir.Model) -> tuple[str, ...]:
    """Names of the means that `apply` can write as products."""
    return tuple(str(node.name) for node in model.graph if _shape(node) is not None)


def apply(model: ir.Model, names: Collection[str]) -> ir.Model:
    """A copy in which these means are products.

    Args:
        model: a float or a Q/DQ model with fixed shapes.
        names: out of `sites`; others are left as they are.
    """
    return changed_copy(model, names, _change)


def _change(node: ir.Node, edit: Editor) -> None:
    shape = _shape(node)
    if shape is not None:
        _rewrite(node, shape, edit)


def _shape(node: ir.Node) -> Shape | None:
    """The shape of the map that a node averages; None where it is not meant."""
    if not is_op(node, "ReduceMean") or not is_float(node.inputs[0]):
        return None
    shape, axes = static_shape(node.inputs[0]), reduced_axes(node)
    if shape is None or axes is None or len(shape) != _RANK or sorted(axes) != [2, 3]:
        return None
    small = shape[0] == 1 and shape[1] >= _LEAST_CHANNELS and shape[2] * shape[3] <= _MOST_PLACES
    return shape if small and not in_integers(node) else None


def in_integers(node: ir.Node) -> bool:
    """Whether the node stands between a DQ and a Q."""
    users = [use.node for use in node.outputs[0].uses()]
    return producer(node.inputs[0], "DequantizeLinear") is not None or any(
        is_op(user, "QuantizeLinear") for user in users
    )


def _rewrite(node: ir.Node, shape: Shape, edit: Editor) -> None:
    """Writes one mean as a product, in place."""
    result = static_shape(node.outputs[0])
    assert result is not None
    edit.begin(node)
    _, channels, height, width = shape
    places = height * width
    last = edit.op("Transpose", node.inputs[0], perm=(0, 2, 3, 1))
    rows = edit.op("Reshape", last, integers(places, channels))
    share = edit.constant(np.full((1, places), 1 / places, np.float32), "shares")
    made = edit.op("MatMul", share, rows)
    edit.replace(node.outputs[0], edit.op("Reshape", made, integers(*result)))
    edit.remove_if_dead(node)
