"""The cut, and the same model with the channels silenced in place of cut."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.graph.edit import Editor
from snapq.pruning import rules
from snapq.pruning.axes import Ids
from snapq.pruning.groups import Structure
from snapq.pruning.rules.base import Mask


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
    made = _Cut(structure, removed, model.graph)
    for name, value in model.graph.initializers.items():
        made.shrink(name, value)
    for node in model.graph:
        rules.resize(node, made)
    for node in model.graph:
        for output in node.outputs:
            if str(output.name) in structure.ids:
                output.shape = ir.Shape(made.shape(output))
    common.RemoveUnusedNodesPass()(model)
    return model


class _Cut:
    """What stays of every axis, and the edits on the new model."""

    def __init__(self, structure: Structure, removed: npt.ArrayLike, graph: ir.Graph) -> None:
        self._ids = structure.ids
        self._stays = stays(structure, removed)
        self._edit = Editor(graph)
        self._shapes: dict[str, tuple[int, ...]] = {}

    def knows(self, value: ir.Value | None) -> bool:
        return value is not None and str(value.name) in self._ids

    def kept(self, value: ir.Value | None, axis: int) -> Mask:
        assert value is not None
        return self._stays[self._ids[str(value.name)][axis]]

    def shape(self, value: ir.Value | None) -> tuple[int, ...]:
        assert value is not None
        ids = self._ids[str(value.name)]
        return tuple(int(self._stays[axis].sum()) for axis in ids)

    def set_constant(self, node: ir.Node, index: int, array: np.ndarray) -> None:
        self._edit.set_constant(node, index, array)

    def shrink(self, name: str, value: ir.Value) -> None:
        masks = [self._stays[ids] for ids in self._ids.get(name, ())]
        if all(mask.all() for mask in masks) or value.const_value is None:
            return
        tensor = value.const_value
        array = np.ascontiguousarray(tensor.numpy()[np.ix_(*masks)])
        value.const_value = ir.tensor(array, dtype=tensor.dtype, name=name)
        value.shape = ir.Shape(array.shape)


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
        axes: tuple[Ids, ...] = structure.ids[str(summed.node.inputs[summed.index].name)]  # type: ignore[union-attr]
        mask = kept[axes[summed.axis]]
        if mask.all():
            continue
        shape = [1] * len(axes)
        shape[summed.axis] = len(mask)
        edit.begin(node)
        silent = edit.op("Mul", value, mask.reshape(shape).astype(_dtype(value)))
        node.replace_input_with(summed.index, silent)
    return model


def _dtype(value: ir.Value) -> np.dtype:
    return np.dtype(np.float32 if value.dtype is None else value.dtype.numpy())
