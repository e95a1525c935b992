"""The cut, and the same model with the channels silenced in place of cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.graph.edit import Editor
from snapq.pruning import rules
from snapq.pruning.groups import Structure
from snapq.pruning.rules.base import Cut, Mask


def cut(structure: Structure, removed: npt.ArrayLike) -> ir.Model:
    """The model without some channels; inputs and outputs keep names, types and shapes.

    Every constant loses the indices of the channels on every axis in which they appear (weights,
    biases, scales, zero points), and nodes that say how long an axis is are told.

    Args:
        structure: what `groups.find` returned.
        removed: labels of the channels to cut.

    Returns:
        A new model.
    """
    model = structure.model.clone()
    made = Cut(model.graph, structure.ids, stays(structure, removed))
    for value in model.graph.initializers.values():
        _shrink(value, made.masks(value))
    for node in model.graph:
        rules.resize(node, made)
    for node in model.graph:
        for output in node.outputs:
            if str(output.name) in structure.ids:
                output.shape = ir.Shape(made.shape(output))
    common.RemoveUnusedNodesPass()(model)
    return model


def _shrink(constant: ir.Value, masks: Sequence[Mask]) -> None:
    tensor = constant.const_value
    if tensor is None or all(mask.all() for mask in masks):
        return
    array = np.ascontiguousarray(tensor.numpy()[np.ix_(*masks)])
    constant.const_value = ir.tensor(array, dtype=tensor.dtype, name=constant.name)
    constant.shape = ir.Shape(array.shape)


def stays(structure: Structure, removed: npt.ArrayLike) -> Mask:
    """For each number of the structure, whether it stays when these labels are cut."""
    gone = np.zeros(len(structure.labels) + 1, bool)
    gone[np.asarray(removed, np.int64)] = True
    result: Mask = ~gone[structure.labels]
    return result


def silence(structure: Structure, removed: npt.ArrayLike) -> ir.Model:
    """The uncut model in which the channels contribute nothing: what a cut must be equal to.

    In front of every sum over an axis, the indices of these channels are multiplied by zero.

    Args:
        structure: what `groups.find` returned.
        removed: labels of the channels to silence.

    Returns:
        A new model of the same shapes as the original.
    """
    model = structure.model.clone()
    kept = stays(structure, removed)
    nodes = {str(node.name): node for node in model.graph}
    edit = Editor(model.graph)
    for summed in structure.summed:
        node = nodes[str(summed.node.name)]
        value = node.inputs[summed.index]
        assert value is not None
        axes = structure.ids[str(value.name)]
        mask = kept[axes[summed.axis]]
        if mask.all():
            continue
        shape = [1] * len(axes)
        shape[summed.axis] = len(mask)
        edit.begin(node)
        dtype = np.float32 if value.dtype is None else value.dtype.numpy()
        silent = edit.op("Mul", value, mask.reshape(shape).astype(dtype))
        node.replace_input_with(summed.index, silent)
    return model
