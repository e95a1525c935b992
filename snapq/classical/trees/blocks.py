"""Leaves in blocks: the groups of one grouped Conv, in which every leaf sees every condition.

A block costs `conditions x leaves` weights, of which a leaf uses only those on its way. So leaves
of trees that ask the same come together, and a tree that is too large for a block is cut: since a
leaf needs nothing of its tree but the conditions on its way, the next block asks these again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from snapq.classical.trees.forest import Forest, Leaf, Target

_MULTIPLE = 32
"""The NPU computes with channels by 32."""
MOST_COUNTED = 255
"""What a byte can count: so many trees add to one target."""


@dataclass(frozen=True)
class Block:
    """Leaves with all conditions that they need.

    Attributes:
        conditions: indices into the forest's, in the order of the block's channels.
        leaves: pairs (index of the tree, leaf).
    """

    conditions: tuple[int, ...]
    leaves: tuple[tuple[int, Leaf], ...]


@dataclass(frozen=True)
class Part:
    """Blocks that are computed together, and counted in columns of their own.

    Attributes:
        blocks: of one size each.
        conditions: channels for conditions of each block, a multiple of 32.
        leaves: channels for leaves of each block, a multiple of 32.
    """

    blocks: tuple[Block, ...]
    conditions: int
    leaves: int

    @property
    def trees(self) -> frozenset[int]:
        """The trees that have leaves here."""
        return frozenset(tree for block in self.blocks for tree, _ in block.leaves)


def pack(forest: Forest, width: int, parts: int) -> tuple[Part, ...]:
    """Fills blocks with the leaves of trees that share conditions.

    Args:
        forest: the trees.
        width: of a block; as many leaves, and conditions unless one leaf needs more.
        parts: at least so many where there are trees enough, each of whole trees. There are more
            where a byte could not count the trees of one.
    """
    room = max(width, round_up(forest.longest_way))
    return tuple(
        _part(forest, trees, width, room) for trees in _divide(forest, forest.order, parts)
    )


def round_up(number: int, multiple: int = _MULTIPLE) -> int:
    """The next multiple, itself where it is one; at least one."""
    return max(-(-number // multiple), 1) * multiple


def _divide(forest: Forest, order: Sequence[int], parts: int) -> list[list[int]]:
    """Runs of trees with about as many leaves each, none with more than a byte can count."""
    share = sum(len(forest.trees[tree].leaves) for tree in order) / max(parts, 1)
    divided: list[list[int]] = [[]]
    counted: Counter[Target] = Counter()
    leaves = 0
    for tree in order:
        targets = forest.trees[tree].targets
        full = any(counted[target] == MOST_COUNTED for target in targets)
        if divided[-1] and (full or leaves >= share * len(divided)):
            divided.append([])
            counted.clear()
        divided[-1].append(tree)
        counted.update(targets)
        leaves += len(forest.trees[tree].leaves)
    return [trees for trees in divided if trees]


def _part(forest: Forest, trees: Iterable[int], width: int, room: int) -> Part:
    blocks: list[Block] = []
    conditions: dict[int, None] = {}
    leaves: list[tuple[int, Leaf]] = []
    for tree in trees:
        for leaf in forest.trees[tree].leaves:
            new = [c for c in leaf.conditions if c not in conditions]
            if len(leaves) == width or len(conditions) + len(new) > room:
                blocks.append(Block(tuple(conditions), tuple(leaves)))
                conditions, leaves, new = {}, [], list(leaf.conditions)
            conditions.update(dict.fromkeys(new))
            leaves.append((tree, leaf))
    blocks.append(Block(tuple(conditions), tuple(leaves)))
    return Part(
        tuple(blocks),
        round_up(max(len(block.conditions) for block in blocks)),
        round_up(max(len(block.leaves) for block in blocks)),
    )
