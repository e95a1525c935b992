"""Where in a tensor the samples of a batch lie, and what rules find out and ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import NoReturn

import onnx_ir as ir

from snapq.graph.edit import Editor

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """Where the samples of a batch lie in a tensor.

    Of one sample the axis has `outer * inner` elements; of a batch it has `outer * batch * inner`,
    in this order: samples may share an axis with windows, heads or tokens.

    Attributes:
        axis: the axis, not negative.
        outer: elements of the axis that lie in front of the batch.
    """

    axis: int
    outer: int = 1

    def grown(self, shape: Sequence[int], batch: int) -> Shape:
        """The shape of a tensor of one sample as that of a batch."""
        return tuple(size * batch if axis == self.axis else size for axis, size in enumerate(shape))

    def moved(self, by: int) -> Place:
        """The same with so many more axes in front."""
        return Place(self.axis + by, self.outer)


class NoBatchError(Exception):
    """A node through which a batch cannot go.

    Args:
        node: the node; None where an input or an output is at fault.
        why: a clause that goes behind the name of the node.
    """

    def __init__(self, node: ir.Node | None, why: str) -> None:
        super().__init__(why)
        self.node, self.why = node, why


@dataclass
class Search:
    """Which way was taken where there were several, in order; `next` goes on with another one."""

    taken: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    position: int = 0

    def choose(self, count: int) -> int:
        """The way to take now, of so many."""
        if self.position == len(self.taken):
            self.taken.append(0)
            self.counts.append(count)
        self.position += 1
        return self.taken[self.position - 1]

    def next(self) -> bool:
        """Changes the last choice that has another way; False where none has."""
        del self.taken[self.position :], self.counts[self.position :]
        while self.taken and self.taken[-1] + 1 == self.counts[-1]:
            del self.taken[-1], self.counts[-1]
        if not self.taken:
            return False
        self.taken[-1] += 1
        self.position = 0
        return True


class Batch:
    """What is known on the way through the graph: the places of the samples, and what to repeat.

    Args:
        shapes: of every value, of one sample.
        search: the choices.

    Attributes:
        places: of values that differ from sample to sample.
        repeated: operands that are the same for all samples and have to be there for each: node and
            index of the input to where the samples go.
    """

    def __init__(self, shapes: Mapping[ir.Value, Shape], search: Search) -> None:
        self._shapes = shapes
        self._search = search
        self.places: dict[ir.Value, Place] = {}
        self.repeated: dict[tuple[ir.Node, int], Place] = {}

    def place(self, value: ir.Value | None) -> Place | None:
        """Where the samples lie; None of a value that is the same for all."""
        return None if value is None else self.places.get(value)

    def shape(self, value: ir.Value | None) -> Shape:
        """The shape, of one sample."""
        if value is None or value not in self._shapes:
            raise NoBatchError(
                None if value is None else value.producer(), "has a shape that is not known"
            )
        return self._shapes[value]

    def rank(self, value: ir.Value | None) -> int:
        """How many axes it has."""
        return len(self.shape(value))

    def choose(self, count: int) -> int:
        """Which of several ways to take; another one where the first leads nowhere."""
        return self._search.choose(count) if count > 1 else 0

    def give(self, node: ir.Node, place: Place) -> None:
        """All outputs of a node have their samples there."""
        for output in node.outputs:
            self.places[output] = place

    def repeat(self, node: ir.Node, index: int, place: Place) -> None:
        """An operand has to be there for each sample."""
        self.repeated[node, index] = place

    def only(self, node: ir.Node, index: int = 0) -> Place:
        """The place in one input, where all others are the same for all samples."""
        found = [i for i, value in enumerate(node.inputs) if self.place(value) is not None]
        if found != [index]:
            refuse(node, "takes samples where it takes constants elsewhere")
        place = self.place(node.inputs[index])
        assert place is not None
        return place

    def joined(self, node: ir.Node, operands: Sequence[int], *, broadcasts: bool = True) -> Place:
        """The place in the output of a node whose operands meet element by element.

        Operands that are the same for all samples are repeated where they have elements of their
        own for what shares an axis with the samples, and where nothing broadcasts them.
        """
        given = [(index, node.inputs[index]) for index in operands if node.inputs[index]]
        rank = max(self.rank(value) for _, value in given)
        found = {
            (place.moved(rank - self.rank(value)), self.shape(value)[place.axis])
            for _, value in given
            if (place := self.place(value)) is not None
        }
        if len(found) != 1:
            refuse(node, "joins samples that lie along different axes")
        place, size = found.pop()
        for index, value in given:
            if self.place(value) is not None:
                continue
            axis = place.axis - (rank - self.rank(value))
            own = self.shape(value)[axis] if axis >= 0 else 1
            if own == size and (own > 1 or not broadcasts):
                self.repeat(node, index, Place(axis, place.outer))
            elif own != 1:
                refuse(node, "spreads a sample along the axis of the samples")
        return place


def refuse(node: ir.Node | None, why: str) -> NoReturn:
    """Ends this way through the graph."""
    raise NoBatchError(node, why)


def reshaped(shape: Shape, place: Place, target: Shape) -> list[Place]:
    """Where samples may lie once a tensor has another shape; elements keep their order.

    Axes of their own come first, then those where the samples are outermost.
    """
    before = prod(shape[: place.axis]) * place.outer
    found = []
    for axis, size in enumerate(target):
        front = prod(target[:axis])
        if front == 0 or before % front:
            continue
        outer = before // front
        if outer <= size and size % outer == 0:
            found.append(Place(axis, outer))
    return sorted(found, key=lambda one: (target[one.axis] != 1, one.outer != 1))


Follow = Callable[[ir.Node, Batch], None]
"""Finds where the samples lie behind a node; raises `NoBatchError`."""
Change = Callable[[ir.Node, Batch, Editor, int], None]
"""Changes the constants and attributes of a node for a batch of so many."""


@dataclass(frozen=True)
class Rule:
    """How a batch goes through an operator.

    Attributes:
        follow: where the samples lie behind it.
        change: what of the node hangs on their number; None where nothing does.
    """

    follow: Follow
    change: Change | None = None
