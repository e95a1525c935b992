"""Reshape and its kin: an axis becomes several, or several become one.

A flat index counts through all axes of a value. Where `[T, 768]` becomes `[T, 12, 64]`, flat index
`f` of the 768 is `(f // 64, f % 64)`; only one of the two new axes can be cut, for what stays must
be a full grid. Which one is a choice: the outer one first (whole heads), and where something bars
that, `groups.find` comes back with the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import gcd, prod

import numpy as np
import onnx_ir as ir

from snapq.operators import Trait, having
from snapq.pruning.axes import Axes, Ids
from snapq.pruning.rules.base import Rule, resize_shape, title


def _tie(node: ir.Node, axes: Axes) -> None:
    """1. Axes whose flat indices are the same run, such as `[C, H, W]` and `[C * H * W]`, match.

    2. In each match one axis of the input and one of the output may be cut; the indices of both
       that share a flat index belong together. All other axes of the match stay.
    """
    data, output = node.inputs[0], node.outputs[0]
    before, after = axes.all(data), axes.all(output)
    for match, (left, right) in enumerate(_matches(before, after)):
        pairs = list(product(left, right))
        name = f"{node.name}/{node.outputs[0].name}/{match}"
        sizes = [len(before[axis]) for axis in left], [len(after[axis]) for axis in right]
        option = axes.choose(name, [before[first] for first, _ in pairs]) if len(pairs) > 1 else 0
        source, target = pairs[option]
        # The numbers of both axes at each flat index; runs in which neither changes count once.
        inner = prod(sizes[0][left.index(source) + 1 :]), prod(sizes[1][right.index(target) + 1 :])
        flat = np.arange(0, prod(sizes[0]), gcd(*inner), dtype=np.int64)
        axes.tie(
            before[source][flat // inner[0] % len(before[source])],
            after[target][flat // inner[1] % len(after[target])],
        )
        others = (before[axis] for axis in left if axis != source)
        for ids in (*others, *(after[axis] for axis in right if axis != target)):
            axes.freeze(ids, f"{title(node)} splits or merges it", name)


def _matches(
    before: Sequence[Ids], after: Sequence[Ids]
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Runs of axes with equal numbers of elements; axes of length 1 belong to none."""
    left = [axis for axis, ids in enumerate(before) if len(ids) != 1]
    right = [axis for axis, ids in enumerate(after) if len(ids) != 1]
    if any(len(ids) == 0 for ids in (*before, *after)):
        return
    while left and right:
        first, second = 1, 1
        sizes = len(before[left[0]]), len(after[right[0]])
        while sizes[0] != sizes[1]:
            if sizes[0] < sizes[1]:
                sizes = sizes[0] * len(before[left[first]]), sizes[1]
                first += 1
            else:
                sizes = sizes[0], sizes[1] * len(after[right[second]])
                second += 1
        yield tuple(left[:first]), tuple(right[:second])
        left, right = left[first:], right[second:]


RULES = {
    **dict.fromkeys(having(Trait.RESHAPES), Rule(_tie)),
    "Reshape": Rule(_tie, resize_shape),
}
