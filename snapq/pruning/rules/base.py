"""What a rule is: how an operator ties the axes of its inputs and outputs, and what a cut changes.

A rule for an operator is one entry in the table of its family's file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.pruning.axes import Axes

Mask = npt.NDArray[np.bool_]


class Cut(Protocol):
    """The cut as a rule sees it: what stays, by the value's name in the model before the cut."""

    def knows(self, value: ir.Value | None) -> bool:
        """Whether the value took part in the analysis."""

    def kept(self, value: ir.Value | None, axis: int) -> Mask:
        """For each index of the axis before the cut, whether it stays."""

    def shape(self, value: ir.Value | None) -> tuple[int, ...]:
        """Shape of the value after the cut."""

    def set_constant(self, node: ir.Node, index: int, array: np.ndarray) -> None:
        """Gives the node a constant input."""


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


def input_at(node: ir.Node, index: int) -> ir.Value | None:
    """The input at `index`; None where it is left out."""
    return node.inputs[index] if index < len(node.inputs) else None
