"""What a rule is: how an operator ties the axes of its inputs and outputs, and what a cut changes.

A rule for an operator is one entry in the table of its family's file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import Editor
from snapq.pruning.axes import Axes, Ids

Mask = npt.NDArray[np.bool_]


class Cut:
    """The cut as a rule sees it: what stays, by the value's name in the model before the cut.

    Args:
        graph: the graph that is cut.
        ids: numbers of the indices of every axis, by name of the value.
        stays: for each number, whether it stays.
    """

    def __init__(self, graph: ir.Graph, ids: Mapping[str, tuple[Ids, ...]], stays: Mask) -> None:
        self.edit = Editor(graph)
        self._ids = ids
        self._stays = stays

    def knows(self, value: ir.Value | None) -> bool:
        """Whether the value took part in the analysis."""
        return value is not None and str(value.name) in self._ids

    def masks(self, value: ir.Value | None) -> tuple[Mask, ...]:
        """For each axis, for each of its indices before the cut, whether it stays."""
        assert value is not None
        return tuple(self._stays[ids] for ids in self._ids.get(str(value.name), ()))

    def shape(self, value: ir.Value | None) -> tuple[int, ...]:
        """Shape of the value after the cut."""
        return tuple(int(mask.sum()) for mask in self.masks(value))

    def set_integers(self, node: ir.Node, index: int, numbers: Iterable[int]) -> None:
        """Gives the node a constant input `[count]` of 64-bit integers."""
        self.edit.set_constant(node, index, np.array([*numbers], np.int64))


Tie = Callable[[ir.Node, Axes], None]
Resize = Callable[[ir.Node, Cut], None]


@dataclass(frozen=True)
class Rule:
    """How the axes of an operator belong together.

    Attributes:
        tie: tells `Axes` which numbers belong together, which must stay, where the node sums and
            which channels it makes.
        resize: changes the attributes and shape constants of a node after a cut; None where
            nothing of the node but its weights depends on the number of channels.
    """

    tie: Tie
    resize: Resize | None = None


def title(node: ir.Node) -> str:
    """The node as a sentence names it."""
    return f"{node.op_type} '{node.name}'"


def same(axes: Axes, left: ir.Value | None, right: ir.Value | None) -> None:
    """Ties two values of the same shape axis by axis."""
    for first, second in zip(axes.all(left), axes.all(right), strict=True):
        axes.tie(first, second)


def broadcast(axes: Axes, value: ir.Value | None, output: ir.Value | None) -> None:
    """Ties a value to the output of an operator that broadcasts it."""
    offset = axes.rank(output) - axes.rank(value)
    for axis, ids in enumerate(axes.all(value)):
        if len(ids) == axes.size(output, axis + offset):
            axes.tie(ids, axes.of(output, axis + offset))


def other_axes(axes: Axes, data: ir.Value | None, output: ir.Value | None, but: int) -> None:
    """Ties two values of the same rank axis by axis, except for one axis."""
    for axis, (first, second) in enumerate(zip(axes.all(data), axes.all(output), strict=True)):
        if axis != but:
            axes.tie(first, second)


def resize_shape(node: ir.Node, cut: Cut) -> None:
    """Of a node whose second input is the shape of its output."""
    node.attributes.pop("allowzero", None)
    cut.set_integers(node, 1, cut.shape(node.outputs[0]))
