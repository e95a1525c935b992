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
    """A copy without the channels of these labels; its inputs and outputs keep their shapes.

    Every constant loses the indices of the channels on every axis in which they appear (weights,
    biases, scales, zero points), and nodes that say how long an axis is are told.
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
    """An uncut copy in which these labels contribute nothing: what a cut must be equal to.

    In front of every sum over an axis, the indices of their channels are multiplied by zero.
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
