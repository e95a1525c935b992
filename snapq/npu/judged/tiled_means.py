"""Means over windows that lie side by side, by a depthwise Conv or by products.

1. In float, `AveragePool(x)` without padding, whose windows lie side by side and are at most 3
   long, becomes a depthwise Conv of weights `1 / window`.
2. Of longer windows it becomes `((x @ Wʷ)ᵀ @ Wʰ)ᵀ`, one product for each axis.

Windows of 1, 2, 4, 8, … elements stay: the NPU computes them well. Others take it up to hundreds of
times as long in fp16. Estimated in us on SA8797P and QCS9075 (QAIRT 2.51) between two layers of one
tap, 64 channels: 3 x 3 over 24 x 24 5,069 and 41 against 18 and 44, 5 x 5 over 20 x 20 3,531 and 36
against 43 and 64, 7 x 7 over 28 x 28 6,905 and 225 against 51 and 78; of 256 channels, 3 x 3 over
60 x 60 19,057 and 63,709 against 149 and 318.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, is_float, is_op
from snapq.graph.passes.npu_workarounds.average_by_conv import average_by_conv
from snapq.graph.passes.npu_workarounds.legalize_pools import Windows, windows
from snapq.graph.shapes import static_shape
from snapq.npu.judged.copies import changed_copy
from snapq.npu.judged.mean_by_product import in_integers

__all__ = ["apply", "sites"]

_RANK, _LONGEST_BY_CONV = 4, 3
_TURN = (0, 1, 3, 2)


def sites(model: ir.Model) -> tuple[str, ...]:
    """Names of the AveragePools that `apply` can write otherwise."""
    return tuple(str(node.name) for node in model.graph if _windows(node) is not None)


def apply(model: ir.Model, names: Collection[str]) -> ir.Model:
    """A copy in which these means are Convs or products.

    Args:
        model: a float or a Q/DQ model with fixed shapes.
        names: out of `sites`; others are left as they are.
    """
    return changed_copy(model, names, _change)


def _change(node: ir.Node, edit: Editor) -> None:
    found = _windows(node)
    if found is None:
        return
    edit.begin(node)
    if found.spans.max() <= _LONGEST_BY_CONV:
        made = average_by_conv(node, edit)
        assert isinstance(made, ir.Value)
    else:
        height, width = (_means(found, axis, edit) for axis in (0, 1))
        columns = edit.op("MatMul", node.inputs[0], width)
        rows = edit.op("MatMul", edit.op("Transpose", columns, perm=_TURN), height)
        made = edit.op("Transpose", rows, perm=_TURN)
    edit.replace(node.outputs[0], made)
    edit.remove_if_dead(node)


def _windows(node: ir.Node) -> Windows | None:
    """The windows of a pool; None where it is not meant."""
    if not is_op(node, "AveragePool") or not is_float(node.inputs[0]) or in_integers(node):
        return None
    shape = static_shape(node.inputs[0])
    found = windows(node, shape)
    if shape is None or found is None or len(shape) != _RANK:
        return None
    aside = np.array_equal(found.spans, found.strides) and not np.any(found.before)
    whole = np.any(found.needed) or not np.all(found.made > 0) or np.prod(found.made) == 1
    easy = all(span & (span - 1) == 0 for span in found.spans.tolist())
    dilated = tuple(found.spans.tolist()) != tuple(node.attributes["kernel_shape"].as_ints())
    return found if aside and not (whole or easy or dilated) else None


def _means(found: Windows, axis: int, edit: Editor) -> ir.Value:
    """Weights `[size, windows]` along one axis."""
    span, count = int(found.spans[axis]), int(found.made[axis])
    weights = np.zeros((int(found.sizes[axis]), count), np.float32)
    for index in range(count):
        weights[index * span : (index + 1) * span, index] = 1 / span
    return edit.constant(weights, "means")
