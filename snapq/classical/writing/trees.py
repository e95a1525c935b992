"""Trees as TreeEnsemble of ai.onnx.ml 5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from snapq.classical.writing.writer import ML_DOMAIN, Writer

LEQ, LT, GTE, GT, EQ, MEMBER = 0, 1, 2, 3, 4, 6
_LARGEST_MEMBER, _MOST_MEMBERS = 30, 30
"""ONNX Runtime compares sets beyond these after it has cut values to integers."""


@dataclass(frozen=True)
class Trees:
    """The arrays of `walk`, see there."""

    arrays: Mapping[str, NDArray[Any]]

    @cached_property
    def tree_of(self) -> NDArray[np.int64]:
        """The tree of each node, int64 [nodes]; -1 where no root leads to it."""
        condition = self.arrays["condition"]
        tree = np.full(len(condition), -1, np.int64)
        level = self.arrays["roots"].astype(np.int64)
        tree[level] = np.arange(len(level))
        while len(level):
            level = level[condition[level] >= 0]
            sides = [self.arrays["on_true"][level], self.arrays["on_false"][level]]
            for side in sides:
                tree[side] = tree[level]
            level = np.concatenate(sides).astype(np.int64)
        return tree


class _Nodes:
    """The lists of inner nodes, of a file that is being written."""

    def __init__(self) -> None:
        self.modes: list[int] = []
        self.features: list[int] = []
        self.splits: list[float] = []
        self.missing: list[int] = []
        self.members: list[float] = []
        self.sides: dict[str, list[int]] = {
            name: [] for name in ("truenodeids", "trueleafs", "falsenodeids", "falseleafs")
        }

    def add(self, mode: int, feature: int, split: float, missing: bool) -> int:
        """Adds a node whose sides are open and gives its number."""
        self.modes.append(mode)
        self.features.append(feature)
        self.splits.append(split)
        self.missing.append(int(missing))
        for side in self.sides.values():
            side.append(0)
        return len(self.modes) - 1

    def link(self, node: int, side: str, to: int, is_leaf: bool) -> None:
        """Says what follows on a side, `true` or `false`."""
        self.sides[f"{side}nodeids"][node] = to
        self.sides[f"{side}leafs"][node] = int(is_leaf)


def write_trees(
    writer: Writer, trees: Trees, rows: str, weights: NDArray[np.float64], targets: int
) -> str:
    """Writes trees whose leaves have one weight each.

    Args:
        writer: takes the node.
        trees: the trees.
        rows: name of the rows float32 [N, F].
        weights: float64 [nodes, 2], the target of each leaf and its weight, which a float32 holds.
        targets: how many targets there are.

    Returns:
        The name of the sums, float32 [N, targets].
    """
    return writer.add("TreeEnsemble", rows, domain=ML_DOMAIN, **attributes(trees, weights, targets))


def one_weight(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The target of each leaf and its weight, [nodes, 2], of values [nodes, targets]."""
    target = np.argmax(values != 0, axis=1)
    return np.stack([target, values[np.arange(len(target)), target]], 1).astype(np.float64)


def attributes(
    trees: Trees, weights: NDArray[np.float64], targets: int, kind: type = np.float32
) -> dict[str, Any]:
    """Attributes of a TreeEnsemble whose leaves have one weight each; see `write_trees`.

    Args:
        trees: the trees.
        weights: float64 [nodes, 2], the target of each leaf and its weight.
        targets: how many targets there are.
        kind: of thresholds and weights, that of the rows.
    """
    leaves = np.flatnonzero((trees.arrays["condition"] < 0) & (trees.tree_of >= 0))
    distinct, number = np.unique(weights[leaves], axis=0, return_inverse=True)
    number_of = np.full(len(weights), -1, np.int64)
    number_of[leaves] = number.reshape(-1)
    nodes, roots = _inner_nodes(trees, number_of)
    distinct = _part_equal_sides(nodes, roots, distinct)
    return _attributes(nodes, roots, (distinct, targets), kind)


def _part_equal_sides(
    nodes: _Nodes, roots: list[int], leaves: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Gives a root whose sides are the same leaf a copy of it.

    ONNX Runtime takes such a root for a leaf, and takes the leaf with the number of the root.
    """
    copies = []
    sides = nodes.sides
    for root in roots:
        both = sides["trueleafs"][root] and sides["falseleafs"][root]
        if both and sides["truenodeids"][root] == sides["falsenodeids"][root]:
            copies.append(sides["truenodeids"][root])
            sides["falsenodeids"][root] = len(leaves) + len(copies) - 1
    return np.concatenate([leaves, leaves[copies]]) if copies else leaves


def _inner_nodes(trees: Trees, leaf_number: NDArray[np.int64]) -> tuple[_Nodes, list[int]]:
    """Lists the inner nodes, each tree from its root down its true sides."""
    arrays = trees.arrays
    condition, on_true, on_false = (
        arrays[name].tolist() for name in ("condition", "on_true", "on_false")
    )
    leaf = leaf_number.tolist()
    asked = conditions_asked(arrays, newest=True)
    nodes, roots = _Nodes(), []
    for root in arrays["roots"].tolist():
        if condition[root] < 0:  # a tree of one leaf: both sides of a condition lead to it
            at = nodes.add(LEQ, 0, 0.0, False)
            nodes.link(at, "true", leaf[root], True)
            nodes.link(at, "false", leaf[root], True)
            roots.append(at)
            continue
        roots.append(len(nodes.modes))
        stack: list[tuple[int, list[tuple[int, str]]]] = [(root, [])]
        while stack:
            node, above = stack.pop()
            is_leaf = condition[node] < 0
            to = leaf[node] if is_leaf else len(nodes.modes)
            for parent, side in above:
                nodes.link(parent, side, to, is_leaf)
            if is_leaf:
                continue
            chain = []
            for mode, feature, split, missing, members in asked[condition[node]]:
                chain.append(nodes.add(mode, feature, split, missing))
                nodes.members.extend([*members, np.nan] if members else [])
            for before, after in pairwise(chain):
                nodes.link(before, "false", after, False)
            turned = nodes.modes[chain[0]] in (GT, GTE)
            holds, fails = ("false", "true") if turned else ("true", "false")
            stack.append((on_false[node], [(chain[-1], fails)]))
            stack.append((on_true[node], [(at, holds) for at in chain]))
    return nodes, roots


Asked = tuple[int, int, float, bool, tuple[float, ...]]


def conditions_asked(
    arrays: Mapping[str, NDArray[Any]], *, newest: bool = False
) -> list[list[Asked]]:
    """Each condition as mode, feature, split, side of NaN and members; several are a chain.

    Args:
        arrays: those of `condition_truth`.
        newest: whether it is for TreeEnsemble, which has sets (they are chains else). There a
            condition that is true for NaN is the opposite one with its sides exchanged, which is
            false for NaN by itself: the list of these sides takes a tenth of the bytes.
    """
    members: dict[int, list[float]] = {}
    for condition, value in zip(
        arrays["member_of"].tolist(), arrays["member_values"].tolist(), strict=True
    ):
        members.setdefault(condition, []).append(value)
    found: list[list[Asked]] = []
    for index, (feature, threshold, missing) in enumerate(
        zip(
            arrays["features"].tolist(),
            arrays["thresholds"].tolist(),
            arrays["nan_true"].tolist(),
            strict=True,
        )
    ):
        values = members.get(index, [])
        if newest and missing and (not values or not np.isnan(threshold)):
            limit = -np.inf if np.isnan(threshold) else threshold
            found.append([(GTE if np.isnan(threshold) else GT, feature, limit, False, ())])
        elif not np.isnan(threshold):
            found.append([(LEQ, feature, threshold, missing, ())])
        elif not values:
            found.append([(LT, feature, -np.inf, missing, ())])
        elif newest and len(values) > 1 and _fits_member(values):
            found.append([(MEMBER, feature, 0.0, missing, tuple(values))])
        else:
            found.append([(EQ, feature, value, missing, ()) for value in values])
    return found


def _fits_member(values: list[float]) -> bool:
    """Whether ONNX Runtime compares a set as ONNX says."""
    return len(values) <= _MOST_MEMBERS and all(
        0 <= value <= _LARGEST_MEMBER and value == int(value) for value in values
    )


def _attributes(
    nodes: _Nodes, roots: list[int], weights: tuple[NDArray[np.float64], int], kind: type
) -> dict[str, Any]:
    leaves, targets = weights
    found: dict[str, Any] = {
        "n_targets": targets,
        "tree_roots": roots,
        "nodes_modes": _tensor(np.array(nodes.modes, np.uint8)),
        "nodes_featureids": nodes.features,
        "nodes_splits": _tensor(np.array(nodes.splits, kind)),
        "leaf_targetids": leaves[:, 0].astype(np.int64).tolist(),
        "leaf_weights": _tensor(leaves[:, 1].astype(kind)),
        **{f"nodes_{name}": values for name, values in nodes.sides.items()},
    }
    if any(nodes.missing):
        found["nodes_missing_value_tracks_true"] = nodes.missing
    if nodes.members:
        found["membership_values"] = _tensor(np.array(nodes.members, kind))
    return found


def _tensor(array: NDArray[Any]) -> onnx.TensorProto:
    return numpy_helper.from_array(array)
