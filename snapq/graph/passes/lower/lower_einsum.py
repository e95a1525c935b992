"""Writes Einsum with products, sums and moves.

1. An index that no other operand and not the result has is summed first.
2. Two operands with an index that the result lacks become a MatMul of what they have in common
   (its batch), of what one has alone (its rows), and of what the other has (its columns), with the
   Transposes and Reshapes that this takes.
3. Two without such an index become a Mul, and where neither has an index of its own, a Mul and a
   ReduceSum.
4. Of more than two, those are joined first that leave the least to do (`numpy.einsum_path`).

An ellipsis, a result that is not written out and dimensions of one that are repeated are Einsum's
own. An operand that has an index twice, its diagonal, is left alone. ONNX Runtime's provider takes
a dozen equations (onnxruntime-qnn 2.7), and all other passes look for MatMul.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from string import ascii_letters

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, integers, is_float
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import Shape, static_shape

OPERATORS = ("Einsum",)

_MOST_DIMENSIONS = 4
"""Of a product, before its batch or its rows become one dimension."""


@dataclass(frozen=True)
class _Term:
    """An operand: its value, an index for each dimension, and their sizes."""

    value: ir.Value | np.ndarray
    indices: str
    shape: Shape

    def size(self, indices: str) -> int:
        """How many elements some of the indices count."""
        return prod(self.shape[self.indices.index(index)] for index in indices)

    def sizes(self, indices: str) -> Shape:
        """The sizes of some of the indices."""
        return tuple(self.size(index) for index in indices)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one Einsum out."""
    shapes = [static_shape(value) for value in node.inputs]
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes) or not all(is_float(value) for value in node.inputs):
        return False
    if all(constant(value) is not None for value in node.inputs):
        return False
    equation = node.attributes.get_string("equation", "").replace(" ", "")
    operands, result = _written_out(equation, known)
    if any(len(set(indices)) < len(indices) for indices in operands):
        return Skipped("an operand of Einsum has an index twice, which takes its diagonal")
    writer = _Writer(edit)
    terms = writer.terms([value for value in node.inputs if value], operands, known)
    for joined in _order(terms, result):
        some = [terms[place] for place in joined]
        terms = [term for place, term in enumerate(terms) if place not in joined]
        while len(some) > 1:
            left, right, *some = some
            others = "".join(term.indices for term in (*some, *terms))
            some.insert(0, writer.joined(left, right, result, others))
        terms += some
    (term,) = terms
    value = writer.moved(writer.summed(term, result), result).value
    return value if isinstance(value, ir.Value) else False


def _written_out(equation: str, shapes: Sequence[Shape]) -> tuple[list[str], str]:
    """The indices of the operands and of the result, each of one letter."""
    given, arrow, result = equation.partition("->")
    operands = given.split(",")
    if not arrow:
        counts = Counter(given.replace(",", "").replace(".", ""))
        once = "".join(sorted(index for index, count in counts.items() if count == 1))
        result = ("..." if "..." in given else "") + once
    hidden = [
        len(shape) - len(indices) + len("...")
        for indices, shape in zip(operands, shapes, strict=True)
        if "..." in indices
    ]  # as many everywhere, by ONNX
    free = "".join(letter for letter in ascii_letters if letter not in equation)
    letters = free[: max(hidden, default=0)]
    operands = [indices.replace("...", letters) for indices in operands]
    return operands, result.replace("...", letters)


def _order(terms: Sequence[_Term], result: str) -> list[tuple[int, ...]]:
    """Places of what is joined, step after step; what comes of a step is put last."""
    equation = ",".join(term.indices for term in terms) + "->" + result
    arrays = [np.broadcast_to(np.float32(0), term.shape) for term in terms]
    return [tuple(step) for step in np.einsum_path(equation, *arrays, optimize="greedy")[0][1:]]


def _place(result: str) -> Callable[[str], int]:
    """Where an index stands in the result; behind all of it where it does not."""
    return lambda index: result.index(index) if index in result else len(result)


class _Writer:
    """Writes the parts of one Einsum."""

    def __init__(self, edit: Editor) -> None:
        self.edit = edit

    def terms(
        self, values: Sequence[ir.Value], operands: Sequence[str], shapes: Sequence[Shape]
    ) -> list[_Term]:
        """The operands, without dimensions of one that another operand has more of."""
        largest: dict[str, int] = {}
        for indices, shape in zip(operands, shapes, strict=True):
            for index, size in zip(indices, shape, strict=True):
                largest[index] = max(size, largest.get(index, 1))
        found = []
        for value, indices, shape in zip(values, operands, shapes, strict=True):
            array = constant(value)
            term = _Term(value if array is None else array, indices, shape)
            kept = "".join(index for index in indices if term.size(index) == largest[index])
            found.append(self.shaped(term, kept, term.sizes(kept)))
        return found

    def joined(self, left: _Term, right: _Term, result: str, others: str) -> _Term:
        """The product of two operands, summed over what nothing else has."""
        kept = {*result, *others}
        left = self.summed(left, kept | {*right.indices})
        right = self.summed(right, kept | {*left.indices})
        both = [index for index in left.indices if index in right.indices]
        batch = "".join(sorted((i for i in both if i in kept), key=_place(result)))
        inner = "".join(index for index in both if index not in kept)
        rows, columns = (
            "".join(index for index in term.indices if index not in both) for term in (left, right)
        )
        if not inner or not rows + columns:
            order = "".join(sorted(batch + rows + columns, key=_place(result))) + inner
            return self.summed(self.multiplied(left, right, order), kept)
        order, turned = batch + rows + columns, batch + columns + rows
        ordered = "".join(sorted(order, key=_place(result)))
        matrix = not batch and len(left.indices) == 2
        if (matrix and len(right.indices) > 2) or (ordered == turned != order and not matrix):
            left, right, rows, columns = right, left, columns, rows
        return self.product(left, right, (batch, rows, inner, columns))

    def product(self, left: _Term, right: _Term, parts: tuple[str, str, str, str]) -> _Term:
        """A MatMul; `parts` are the indices of its batch, rows, sums and columns."""
        batch, rows, inner, columns = parts
        shape = (*left.sizes(batch + rows), *right.sizes(columns))
        first, second = (
            self.moved(left, batch + rows + inner),
            self.moved(right, batch + inner + columns),
        )
        outer = left.sizes(batch)
        if len(outer) + 2 > _MOST_DIMENSIONS:
            outer = (prod(outer),)
        kept = left.sizes(rows)
        if batch or not 1 <= len(kept) < _MOST_DIMENSIONS:
            kept = (prod(kept),)
        matrices = (
            self.reshaped(first.value, first.shape, (*outer, *kept, left.size(inner))),
            self.reshaped(
                second.value, second.shape, (*outer, left.size(inner), right.size(columns))
            ),
        )
        value = self.edit.op("MatMul", *matrices)
        made = (*outer, *kept, right.size(columns))
        return _Term(self.reshaped(value, made, shape), batch + rows + columns, shape)

    def multiplied(self, left: _Term, right: _Term, order: str) -> _Term:
        """A Mul of two operands, `order` being the indices of what comes out."""
        shape = tuple((left if i in left.indices else right).size(i) for i in order)
        values = []
        for term in (left, right):
            own = "".join(index for index in order if index in term.indices)
            sizes = tuple(term.size(i) if i in own else 1 for i in order)
            values.append(self.shaped(self.moved(term, own), order, sizes).value)
        return _Term(self.edit.op("Mul", *values), order, shape)

    def summed(self, term: _Term, kept: str | set[str]) -> _Term:
        """The sum over all indices that are not kept."""
        left = "".join(index for index in term.indices if index in kept)
        if left == term.indices:
            return term
        axes = [place for place, index in enumerate(term.indices) if index not in kept]
        value = self.edit.op("ReduceSum", term.value, integers(*axes), keepdims=0)
        return _Term(value, left, term.sizes(left))

    def moved(self, term: _Term, order: str) -> _Term:
        """The operand with its dimensions in another order."""
        if order == term.indices:
            return term
        places = tuple(term.indices.index(index) for index in order)
        if isinstance(term.value, np.ndarray):
            return _Term(term.value.transpose(places), order, term.sizes(order))
        return _Term(self.edit.op("Transpose", term.value, perm=places), order, term.sizes(order))

    def shaped(self, term: _Term, indices: str, shape: Shape) -> _Term:
        """The operand with dimensions of one more, or fewer."""
        return _Term(self.reshaped(term.value, term.shape, shape), indices, shape)

    def reshaped(
        self, value: ir.Value | np.ndarray, old: Shape, new: Shape
    ) -> ir.Value | np.ndarray:
        """A value in another shape."""
        if old == new:
            return value
        if isinstance(value, np.ndarray):
            return value.reshape(new)
        return self.edit.op("Reshape", value, integers(*new))
