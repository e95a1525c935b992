"""Every index of every axis gets a number; numbers that must be cut together get one label.

The rules of the operators say which numbers belong together. What they say is collected as pairs,
and the connected components of all pairs are the channels: the smallest things that can be cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.shapes import static_shape

Ids = npt.NDArray[np.int64]
"""Numbers of the indices of one axis (or of some of them), in their order."""


@dataclass(frozen=True)
class Summed:
    """An input axis over which a node sums: a channel that is zero there contributes nothing.

    Attributes:
        node: the node.
        index: which input carries the channels.
        axis: the axis of that input.
        weight: index of the constant weight input that the sum goes over too; None where both
            factors are computed, or where there is none.
        weight_axis: the axis of the weight.
    """

    node: ir.Node
    index: int
    axis: int
    weight: int | None = None
    weight_axis: int = 0


@dataclass(frozen=True)
class Made:
    """An output axis whose channels a node makes from a weight: what pruning can take away."""

    node: ir.Node
    axis: int


@dataclass(frozen=True)
class Frozen:
    """Numbers that must stay.

    Attributes:
        ids: the numbers.
        reason: a sentence for the reader.
        choice: the choice (see `Axes.choose`) that froze them; None where nothing can change it.
    """

    ids: Ids
    reason: str
    choice: str | None = None


class Axes:
    """What the rules say of a graph: which indices belong together and which must stay.

    Args:
        graph: a graph whose constants are initializers.
        choices: option by name of a choice, where it is not the first one.
    """

    def __init__(self, graph: ir.Graph, choices: Mapping[str, int] | None = None) -> None:
        self.summed: list[Summed] = []
        self.made: list[Made] = []
        self.frozen: list[Frozen] = []
        self.options: dict[str, int] = {}
        self.chosen: dict[str, Ids] = {}
        self._choices = choices or {}
        self._left: list[Ids] = []
        self._right: list[Ids] = []
        self._ids: dict[ir.Value, tuple[Ids, ...]] = {}
        self.count = 0
        values = [*graph.inputs, *graph.initializers.values()]
        for node in graph:
            values.extend(node.outputs)
        for value in values:
            self._number(value)

    def knows(self, value: ir.Value | None) -> bool:
        """Whether the shape of the value is known."""
        return value is not None and value in self._ids

    def rank(self, value: ir.Value | None) -> int:
        """Number of axes of a value."""
        return len(self.all(value))

    def size(self, value: ir.Value | None, axis: int) -> int:
        """Length of an axis."""
        return len(self.all(value)[axis])

    def of(self, value: ir.Value | None, axis: int) -> Ids:
        """The numbers of one axis."""
        return self.all(value)[axis]

    def all(self, value: ir.Value | None) -> tuple[Ids, ...]:
        """The numbers of all axes."""
        assert value is not None
        return self._ids[value]

    def named(self) -> dict[str, tuple[Ids, ...]]:
        """The numbers of all values, by name."""
        return {str(value.name): ids for value, ids in self._ids.items()}

    def tie(self, left: Ids, right: Ids) -> None:
        """Says that the numbers belong together one by one; arrays broadcast."""
        first, second = np.broadcast_arrays(left, right)
        self._left.append(first.reshape(-1))
        self._right.append(second.reshape(-1))

    def freeze(self, ids: Ids, reason: str, choice: str | None = None) -> None:
        """Says that the numbers must stay."""
        if ids.size:
            self.frozen.append(Frozen(ids.reshape(-1), reason, choice))

    def freeze_value(self, value: ir.Value | None, reason: str) -> None:
        """Says that no axis of a value may be cut."""
        if value is not None and value in self._ids:
            for ids in self._ids[value]:
                self.freeze(ids, reason)

    def choose(self, name: str, options: Sequence[Ids]) -> int:
        """Takes one of several ways; `groups.find` comes back with another where it is barred.

        Args:
            name: names the choice in the graph.
            options: for each way, the numbers that it would leave free.
        """
        option = self._choices.get(name, 0)
        self.options[name] = len(options)
        self.chosen[name] = options[option]
        return option

    def labels(self) -> Ids:
        """The label of each number: equal for those that belong together."""
        empty = np.zeros(0, np.int64)
        return components(
            self.count, np.concatenate([empty, *self._left]), np.concatenate([empty, *self._right])
        )

    def _number(self, value: ir.Value) -> None:
        shape = static_shape(value)
        if shape is None and value.const_value is not None:
            shape = tuple(value.const_value.shape.numpy())
        if shape is None or value in self._ids:
            return
        axes = []
        for size in shape:
            axes.append(np.arange(self.count, self.count + size, dtype=np.int64))
            self.count += size
        self._ids[value] = tuple(axes)


def components(count: int, left: Ids, right: Ids) -> Ids:
    """Labels `[count]` of the connected components of a graph with edges `left[i]`-`right[i]`.

    The label is the smallest number of its component. Roots hook onto smaller roots and paths are
    halved, as in Shiloach and Vishkin, "An O(log n) parallel connectivity algorithm" (1982).
    """
    parent = np.arange(count, dtype=np.int64)
    while True:
        first, second = parent[left], parent[right]
        low, high = np.minimum(first, second), np.maximum(first, second)
        open_edges = low != high
        if not open_edges.any():
            return parent
        left, right = left[open_edges], right[open_edges]
        np.minimum.at(parent, high[open_edges], low[open_edges])
        while True:
            jumped = parent[parent]
            if np.array_equal(jumped, parent):
                break
            parent = jumped
