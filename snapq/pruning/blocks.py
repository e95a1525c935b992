"""Residual blocks taken out whole: `y = x + f(x)` becomes `y = x`.

A block that changes little of what passes it by can go, with all that it costs: a network is then
shallower, not thinner. Veit et al., "Residual networks behave like ensembles of relatively shallow
networks" (2016, arXiv 1605.06431), show why that harms little. Which one goes is found by trial:
the one with the least error of the model's outputs (and divergence of its classes) for what it
costs; then the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.errors import ModelError, did_you_mean
from snapq.graph import cost
from snapq.graph.edit import constant
from snapq.graph.shapes import static_shape
from snapq.operators import Trait, spec
from snapq.pruning.sensitivity import divergence, error, outputs_of
from snapq.pruning.statistics import Feeds

__all__ = ["Block", "Dropped", "blocks", "named", "shallower", "trials", "without"]

Price = Callable[[ir.Model], float]
"""What a model costs, in any unit."""


@dataclass(frozen=True)
class Block:
    """A residual branch around which a shortcut leads.

    Attributes:
        name: the Add at which branch and shortcut meet.
        shortcut: which input of the Add is the shortcut, 0 or 1.
    """

    name: str
    shortcut: int


@dataclass(frozen=True)
class Dropped:
    """A block that was taken out.

    Attributes:
        name: of its Add.
        macs: multiply-accumulates that went with it.
        error: of the outputs against the whole model, once this and the ones before were gone:
            error energy over output energy.
    """

    name: str
    macs: int
    error: float


@dataclass(frozen=True)
class _Trial:
    """A model without one more block: what it loses in all, and what it computes."""

    block: Block
    loss: float
    error: float
    macs: int


def blocks(model: ir.Model) -> tuple[Block, ...]:
    """The residual branches of a float model, in its order.

    A branch is one input of an Add that is computed from the other, with a weighted layer on the
    way, where both and the sum have one shape.
    """
    found = []
    for node in model.graph:
        if node.op_type != "Add" or node.outputs[0].is_graph_output():
            continue
        shapes = {static_shape(value) for value in (*node.inputs, node.outputs[0])}
        if len(shapes) != 1 or None in shapes:
            continue
        for index, value in enumerate(node.inputs):
            other = node.inputs[1 - index]
            if value is not None and other is not None and _branches(value, other):
                found.append(Block(str(node.name), index))
    return tuple(found)


def without(model: ir.Model, gone: Sequence[Block]) -> ir.Model:
    """A copy of the model without these blocks."""
    result = model.clone()
    nodes = {str(node.name): node for node in result.graph}
    for block in gone:
        node = nodes[block.name]
        shortcut = node.inputs[block.shortcut]
        assert shortcut is not None
        node.outputs[0].replace_all_uses_with(shortcut)
    common.RemoveUnusedNodesPass()(result)
    return result


def named(model: ir.Model, names: Sequence[str]) -> tuple[Block, ...]:
    """The residual blocks that end in these Adds.

    Raises:
        ModelError: one is no end of a residual block.
    """
    known = {block.name: block for block in blocks(model)}
    for name in names:
        if name not in known:
            raise ModelError(
                f"The prepared model has no residual block that ends in '{name}'.",
                where="stages.prune.remove",
                hint=did_you_mean(name, known, f"They end in {', '.join(known) or 'nothing'}."),
            )
    return tuple(known[name] for name in names)


def shallower(
    model: ir.Model,
    count: int,
    samples: Sequence[Feeds],
    price: Price | None = None,
    advance: Callable[[int], None] | None = None,
) -> tuple[ir.Model, tuple[Dropped, ...]]:
    """Takes out so many blocks, one after another, each time the one that is missed the least.

    Args:
        model: a float model.
        count: how many.
        samples: by which the outputs are judged.
        price: what a model costs; its multiply-accumulates where not given. Asked once for each
            block: what several blocks save is added up.
        advance: called with the number of blocks that were tried, `trials(model, count)` in all.

    Returns:
        The model without the blocks, and the blocks in the order in which they went.

    Raises:
        ModelError: the model has not as many blocks.
    """
    price = price or cost.total_macs
    left = list(blocks(model))
    if len(left) < count:
        raise ModelError(
            f"The model has {len(left)} residual blocks that could be removed, and {count} are "
            "asked for.",
            where="stages.prune.blocks",
            hint="Ask for fewer, or cut channels with `ratio` or `target`.",
        )
    expected = outputs_of(model, samples)
    gone: list[Block] = []
    dropped: list[Dropped] = []
    whole = price(model)
    saved = {block: max(whole - price(without(model, [block])), 1e-9 * whole) for block in left}
    before = _Trial(left[0], 0.0, 0.0, cost.total_macs(model))
    for _ in range(count):
        tried = []
        for block in left:
            trial = without(model, [*gone, block])
            outputs = outputs_of(trial, samples)
            lost = error(expected, outputs)
            loss = lost + divergence(expected, outputs)
            tried.append(_Trial(block, loss, lost, cost.total_macs(trial)))
            if advance is not None:
                advance(1)
        best = min(tried, key=lambda item: (item.loss - before.loss) / saved[item.block])
        gone.append(best.block)
        left.remove(best.block)
        dropped.append(Dropped(best.block.name, before.macs - best.macs, best.error))
        before = best
    return without(model, gone), tuple(dropped)


def trials(model: ir.Model, count: int) -> int:
    """How many models `shallower` tries."""
    total = len(blocks(model))
    return sum(max(total - gone, 0) for gone in range(count))


def _branches(start: ir.Value, end: ir.Value) -> bool:
    """Whether `end` is computed from `start`, through a layer with a constant weight."""
    weighted = False
    reached = False
    seen: set[ir.Value] = set()
    waiting = [end]
    while waiting:
        value = waiting.pop()
        if value is start:
            reached = True
            continue
        node = value.producer()
        if value in seen or node is None:
            continue
        seen.add(value)
        weight = node.inputs[1] if len(node.inputs) > 1 else None
        weighted |= spec(node.op_type).has(Trait.SUMS_CHANNELS) and constant(weight) is not None
        waiting.extend(item for item in node.inputs if item is not None)
    return reached and weighted
