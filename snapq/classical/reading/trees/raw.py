"""The trees of a node as arrays, the same for every version of the operators.

`TreeEnsembleClassifier` and `TreeEnsembleRegressor` (ai.onnx.ml 1 and 3) list all nodes with the
numbers of their tree and node; `TreeEnsemble` (5) lists inner nodes and leaves apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snapq.classical.reading.graph import Node

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")
LEQ, LT, GTE, GT, EQ, NEQ, MEMBER = range(7)
"""Numbers of the conditions, as TreeEnsemble of ai.onnx.ml 5 has them."""
LEAF = -1


@dataclass
class RawTrees:
    """Nodes as a file lists them, leaves among them.

    Attributes:
        mode: int [nodes], one of the numbers above or LEAF.
        feature: int64 [nodes].
        split: float64 [nodes].
        missing_true: bool [nodes], whether NaN goes to the true side.
        on_true: int64 [nodes], index of a node; LEAF at leaves.
        on_false: int64 [nodes].
        roots: int64 [trees].
        leaf: int64 [weights], the node that a weight belongs to.
        target: int64 [weights].
        weight: float64 [weights].
        members: the values of each node of the mode MEMBER.
    """

    mode: NDArray[np.int64]
    feature: NDArray[np.int64]
    split: NDArray[np.float64]
    missing_true: NDArray[np.bool_]
    on_true: NDArray[np.int64]
    on_false: NDArray[np.int64]
    roots: NDArray[np.int64]
    leaf: NDArray[np.int64]
    target: NDArray[np.int64]
    weight: NDArray[np.float64]
    members: dict[int, tuple[float, ...]]


def raw_of_lists(node: Node, prefix: str) -> RawTrees:
    """Reads the attributes of ai.onnx.ml 1 and 3.

    Args:
        node: a TreeEnsembleClassifier or TreeEnsembleRegressor.
        prefix: `class` or `target`.

    Raises:
        ModelError: the lists do not fit each other, or describe no trees.
    """
    trees, numbers = (node.array(f"nodes_{name}", np.int64) for name in ("treeids", "nodeids"))
    count = len(trees)
    if not count:
        raise node.error("it holds no trees")
    lists: dict[str, NDArray[Any]] = {
        name: node.array(f"nodes_{name}", dtype)
        for name, dtype in (
            ("nodeids", np.int64),
            ("featureids", np.int64),
            ("truenodeids", np.int64),
            ("falsenodeids", np.int64),
            ("values", np.float64),
            ("modes", np.str_),
        )
    }
    for name, values in lists.items():
        if len(values) != count:
            raise node.error(f"its list nodes_{name} has {len(values)} entries instead of {count}")
    mode = _modes(node, lists["modes"])
    missing = node.array("nodes_missing_value_tracks_true", np.int64)[:count]
    missing_true = np.zeros(count, np.bool_)
    missing_true[: len(missing)] = missing == 1
    index = _NodeIndex(node, trees, numbers)
    inner = mode != LEAF
    children = []
    for name in ("truenodeids", "falsenodeids"):
        child = np.full(count, LEAF, np.int64)
        child[inner] = index.find(trees[inner], lists[name][inner])
        children.append(child)
    starts = np.flatnonzero(np.r_[True, trees[1:] != trees[:-1]])
    if len(starts) != len(np.unique(trees)):
        raise node.error("it lists the nodes of its trees in turns, which ONNX Runtime misreads")
    tree_of, node_of, target = (
        node.array(f"{prefix}_{name}", np.int64) for name in ("treeids", "nodeids", "ids")
    )
    weight = node.array(f"{prefix}_weights", np.float64)
    if not len(weight) or {len(tree_of), len(node_of), len(target)} != {len(weight)}:
        raise node.error(
            f"its lists {prefix}_treeids, _nodeids, _ids and _weights differ in length"
        )
    at = index.find(tree_of, node_of)
    kept = ~inner[at]  # ONNX Runtime leaves weights of inner nodes out
    return RawTrees(
        mode,
        lists["featureids"],
        lists["values"],
        missing_true,
        children[0],
        children[1],
        starts,
        at[kept],
        target[kept],
        weight[kept],
        {},
    )


def _modes(node: Node, names: NDArray[np.str_]) -> NDArray[np.int64]:
    """Numbers of modes that are written as text."""
    mode = np.full(len(names), -2, np.int64)
    for number, name in enumerate((*MODES, "BRANCH_MEMBER")):
        mode[names == name] = number
    mode[names == "LEAF"] = LEAF
    unknown = names[(mode == -2) | (mode == MEMBER)]
    if len(unknown):
        raise node.error(f"its condition {unknown[0]} is not covered")
    return mode


class _NodeIndex:
    """Finds the place of a node by the numbers of its tree and node."""

    def __init__(self, node: Node, trees: NDArray[np.int64], numbers: NDArray[np.int64]) -> None:
        self._node = node
        self._trees, tree = np.unique(trees, return_inverse=True)
        self._numbers, number = np.unique(numbers, return_inverse=True)
        keys = tree * len(self._numbers) + number
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]
        if (self._keys[1:] == self._keys[:-1]).any():
            raise node.error("two of its nodes have the same number in the same tree")

    def find(self, trees: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        tree, known_tree = _place(self._trees, trees)
        number, known_number = _place(self._numbers, numbers)
        key = tree * len(self._numbers) + number
        at, known_key = _place(self._keys, key)
        missing = ~(known_tree & known_number & known_key)
        if missing.any():
            which = int(np.flatnonzero(missing)[0])
            raise self._node.error(
                f"it mentions node {numbers[which]} of tree {trees[which]}, which is not there"
            )
        return np.asarray(self._order[at], np.int64)


def _place(
    known: NDArray[np.int64], wanted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where values are in a sorted list, and whether they are there at all."""
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return at, known[at] == wanted


def raw_of_tree_ensemble(node: Node) -> RawTrees:
    """Reads the attributes of TreeEnsemble (ai.onnx.ml 5).

    Raises:
        ModelError: the lists do not fit each other.
    """
    mode = node.array("nodes_modes", np.int64)
    inner = len(mode)
    lists: dict[str, NDArray[Any]] = {
        name: node.array(f"nodes_{name}", dtype)
        for name, dtype in (
            ("featureids", np.int64),
            ("splits", np.float64),
            ("truenodeids", np.int64),
            ("falsenodeids", np.int64),
            ("trueleafs", np.int64),
            ("falseleafs", np.int64),
        )
    }
    for name, values in lists.items():
        if len(values) != inner:
            raise node.error(f"its list nodes_{name} has {len(values)} entries instead of {inner}")
    if not inner or ((mode < LEQ) | (mode > MEMBER)).any():
        raise node.error("its list nodes_modes is empty or holds an unknown condition")
    target, weight = node.array("leaf_targetids", np.int64), node.array("leaf_weights", np.float64)
    if len(target) != len(weight) or not len(target):
        raise node.error("its lists leaf_targetids and leaf_weights differ in length or are empty")
    children = []
    for side in ("true", "false"):
        child, is_leaf = lists[f"{side}nodeids"], lists[f"{side}leafs"] != 0
        if (child < 0).any() or (child >= np.where(is_leaf, len(target), inner)).any():
            raise node.error(f"its list nodes_{side}nodeids mentions a node that is not there")
        child = np.where(is_leaf, inner + child, child)
        children.append(np.r_[child, np.full(len(target), LEAF)])
    roots = node.array("tree_roots", np.int64)
    if not len(roots) or (roots < 0).any() or (roots >= inner).any():
        raise node.error("its list tree_roots is empty or mentions a node that is not there")
    missing = np.zeros(inner + len(target), np.bool_)
    tracks = node.array("nodes_missing_value_tracks_true", np.int64)[:inner]
    missing[: len(tracks)] = tracks == 1
    fill = np.zeros(len(target))
    return RawTrees(
        np.r_[mode, np.full(len(target), LEAF)],
        np.r_[lists["featureids"], fill.astype(np.int64)],
        np.r_[lists["splits"], fill],
        missing,
        children[0],
        children[1],
        _single_leaves(node, roots, children, inner),
        inner + np.arange(len(target)),
        target,
        weight,
        _members(node, mode),
    )


def _single_leaves(
    node: Node, roots: NDArray[np.int64], children: list[NDArray[np.int64]], inner: int
) -> NDArray[np.int64]:
    """Roots of trees; one whose two sides are the same leaf is that leaf.

    ONNX Runtime takes the leaf with the number of the root for it, so they must be the same.
    """
    single = (children[0][roots] == children[1][roots]) & (children[0][roots] >= inner)
    found = np.where(single, children[0][roots], roots)
    if (single & (found - inner != roots)).any():
        raise node.error(
            "a tree that is one leaf has another number than its leaf, which ONNX Runtime misreads"
        )
    return found


def _members(node: Node, mode: NDArray[np.int64]) -> dict[int, tuple[float, ...]]:
    """The sets of the nodes of mode MEMBER, in the order of the nodes, NaN between them."""
    values = node.array("membership_values", np.float64)
    ends = np.flatnonzero(np.isnan(values))
    starts = np.r_[0, ends + 1]
    sets = np.flatnonzero(mode == MEMBER)
    if len(sets) > len(starts):
        raise node.error("its list membership_values has fewer sets than conditions need")
    ends = np.r_[ends, len(values)]
    return {
        int(at): tuple(np.unique(values[starts[i] : ends[i]]).tolist()) for i, at in enumerate(sets)
    }
