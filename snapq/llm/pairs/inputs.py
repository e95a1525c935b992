"""Inputs of a graph beside the cache: which take tokens, positions and the mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.errors import ModelError
from snapq.graph.edit import constant
from snapq.graph.shapes import graph_inputs, static_shape
from snapq.llm.pairs.flow import before_moves, made_of
from snapq.llm.pairs.ports import Growth, Join

__all__ = ["Ports", "find_ports"]

Array = npt.NDArray[np.generic]
_BELOW = -1e9
_HINT = (
    "A pair takes tokens, their positions, a mask of the context and the cache; `snapq llm init` "
    "writes such a one from the weights."
)


@dataclass(frozen=True)
class Ports:
    """What a graph of a pair is fed.

    Attributes:
        tokens: the input.
        table: the table of embeddings, `[vocabulary, hidden]`.
        positions: inputs that take the position of each row.
        lengths: inputs of one number: how many tokens the cache holds.
        masks: inputs that say which positions of the context may be seen.
        rows: tokens at once.
        context: positions that attention sees.
        in_place: whether the cache holds each position at its own place, and not the newest last.
        empty: whether it begins with an empty cache, and has no input for one.
    """

    tokens: ir.Value
    table: ir.Value
    positions: tuple[ir.Value, ...]
    lengths: tuple[ir.Value, ...]
    masks: tuple[ir.Value, ...]
    rows: int
    context: int
    in_place: bool
    empty: bool

    def feeds(self, ids: Sequence[int], length: int) -> dict[str, Array]:
        """What the inputs beside the cache are fed for as many tokens as there are rows.

        Args:
            ids: the tokens.
            length: tokens in the cache.
        """
        where = np.arange(length, length + self.rows)
        found = {str(self.tokens.name): _as(self.tokens, np.asarray(ids))}
        found |= {str(value.name): _as(value, where) for value in self.positions}
        found |= {str(value.name): _as(value, np.asarray(length)) for value in self.lengths}
        for value in self.masks:
            found[str(value.name)] = self._mask(value, length)
        return found

    def at(self, ids: Sequence[int], position: int) -> dict[str, Array]:
        """The same where all tokens stand at one position behind nothing."""
        found = self.feeds(ids, 0)
        same = np.full(self.rows, position)
        return found | {str(value.name): _as(value, same) for value in self.positions}

    def _mask(self, value: ir.Value, length: int) -> Array:
        """1 where a token is or will be; of several rows none sees those behind itself."""
        columns = np.arange(self.context)
        begin = 0 if self.in_place else self.context - length - self.rows
        ends = begin + length + np.arange(1, self.rows + 1)
        shape = static_shape(value) or ()
        if len(shape) <= 2:  # of tokens: the graph itself hides what comes behind a row
            seen = (columns >= begin) & (columns < ends[-1])
        else:
            seen = (columns >= begin) & (columns < ends[:, None])
        if value.dtype is not None and value.dtype.is_floating_point() and len(shape) > 2:
            return _as(value, np.where(seen, 0.0, _BELOW))
        return _as(value, seen)


def find_ports(graph: ir.Graph, joins: Sequence[Join], root: ir.Value | None, where: str) -> Ports:
    """Tells the inputs of a graph by their types and sizes.

    Args:
        graph: whose inputs they are.
        joins: of the cache.
        root: what the first block reads: the embeddings of the tokens.
        where: the file, for messages.

    Raises:
        ModelError: an input is none of these, or there are no tokens or positions.
    """
    rows, context, in_place = _sizes(joins, where)
    tokens, table = _embedding(root, where)
    if prod(static_shape(tokens) or ()) != rows:
        raise ModelError(
            f"The input '{tokens.name}' takes {list(static_shape(tokens) or ())} tokens, and the "
            f"cache {rows} new rows.",
            where=where,
            hint="Export the pair for a batch of 1.",
        )
    caches = {join.past for join in joins}
    turning = made_of(next(join.new for join in joins if join.is_key))
    positions, lengths, masks = [], [], []
    for value in graph_inputs(ir.Model(graph, ir_version=10)):
        shape = static_shape(value)
        if value is tokens or value in caches or shape is None:
            continue
        whole = value.dtype is not None and not value.dtype.is_floating_point()
        count = int(np.prod(shape))
        if whole and count == rows and value in turning:
            positions.append(value)
        elif shape[-1:] == (context,) and count in (context, rows * context):
            masks.append(value)
        elif whole and count == rows:
            positions.append(value)
        elif whole and count == 1:
            lengths.append(value)
        else:
            raise ModelError(
                f"The input '{value.name}' {list(shape)} is none that a pair has.",
                where=where,
                hint=_HINT,
            )
    if not positions:
        raise ModelError(
            f"No input of whole numbers takes the positions of {rows} tokens.",
            where=where,
            hint=_HINT,
        )
    empty = None in caches
    return Ports(
        tokens,
        table,
        tuple(positions),
        tuple(lengths),
        tuple(masks),
        rows,
        context,
        in_place,
        empty,
    )


def _sizes(joins: Sequence[Join], where: str) -> tuple[int, int, bool]:
    """Rows, context, and whether the cache is written in place; all joins must agree."""
    found = set()
    for join in joins:
        past = (static_shape(join.past) or ())[join.past_axis] if join.past is not None else 0
        rows = (static_shape(join.new) or ())[join.axis]
        in_place = join.growth is Growth.IN_PLACE
        found.add((rows, past if in_place else past + rows, in_place))
    if len(found) != 1:
        raise ModelError(
            f"Its caches have different sizes: {sorted(found)} (rows, context, in place).",
            where=where,
            hint="Export all layers with the same cache.",
        )
    return found.pop()


def _embedding(root: ir.Value | None, where: str) -> tuple[ir.Value, ir.Value]:
    """The input of the tokens, and the table in which they are looked up."""
    node = root.producer() if root is not None else None
    held = node.inputs[0] if node is not None and node.op_type == "Gather" else None
    if node is None or held is None or constant(held) is None or node.inputs[1] is None:
        raise ModelError(
            "The first block does not read a table of embeddings by the tokens.",
            where=where,
            hint="Export the decoder with its embedding, and tokens as input.",
        )
    for value in before_moves(node.inputs[1]):
        if value.is_graph_input():
            return value, held
    raise ModelError(
        f"Gather '{node.name}' of the embeddings does not read an input of the graph.",
        where=where,
        hint="Export the decoder with tokens as input.",
    )


def _as(value: ir.Value, array: npt.ArrayLike) -> Array:
    """An array in the shape and type of an input, the last axes kept."""
    shape = static_shape(value) or ()
    assert value.dtype is not None
    held = np.asarray(array)
    if held.size == int(np.prod(shape)):
        return np.ascontiguousarray(held.reshape(shape).astype(value.dtype.numpy()))
    return np.ascontiguousarray(np.broadcast_to(held, shape).astype(value.dtype.numpy()))
