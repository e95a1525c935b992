"""Random nodes of TreeEnsemble (ai.onnx.ml 5), with shared leaves and sets."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.classical.random_trees import NASTY, model_of

FEATURES = 3
MEMBERS = 30
"""Members are numbers below this: of others ONNX Runtime makes something else (see findings)."""
_MEMBER = 6


class Growing:
    """The lists of a node while trees grow."""

    def __init__(self, rng: np.random.Generator, targets: int, share: bool) -> None:
        self._rng = rng
        self._targets = targets
        self._share = share
        self.nodes: dict[str, list[Any]] = {
            name: []
            for name in (
                "modes",
                "featureids",
                "splits",
                "missing_value_tracks_true",
                "truenodeids",
                "trueleafs",
                "falsenodeids",
                "falseleafs",
            )
        }
        self.leaves: dict[str, list[Any]] = {"targetids": [], "weights": []}
        self.members: list[float] = []

    def grow(self, depth: int, root: bool = False) -> int:
        """Adds a tree and gives the number of its first node."""
        rng, node = self._rng, len(self.nodes["modes"])
        mode = int(rng.integers(_MEMBER + 1))
        split = 0.0 if mode == _MEMBER else float(np.float32(rng.choice(NASTY)))
        row = (mode, int(rng.integers(FEATURES)), split, int(rng.integers(2)), 0, 0, 0, 0)
        for values, value in zip(self.nodes.values(), row, strict=True):
            values.append(value)
        if mode == _MEMBER:
            chosen = rng.choice(MEMBERS, int(rng.integers(1, 6)), replace=False)
            self.members += [*map(float, chosen), float("nan")]
        for side in ("true", "false"):
            leaf = depth == 0 or rng.random() < 0.25
            to = self._leaf() if leaf else self.grow(depth - 1)
            # ONNX Runtime takes a root whose sides are the same leaf for another leaf.
            while root and leaf and side == "false" and self._first_side(node) == to:
                to = self._leaf()
            self.nodes[f"{side}nodeids"][node] = to
            self.nodes[f"{side}leafs"][node] = int(leaf)
        return node

    def _first_side(self, node: int) -> int | None:
        return self.nodes["truenodeids"][node] if self.nodes["trueleafs"][node] else None

    def _leaf(self) -> int:
        count = len(self.leaves["weights"])
        if self._share and count and self._rng.random() < 0.3:
            return int(self._rng.integers(count))
        self.leaves["targetids"].append(int(self._rng.integers(self._targets)))
        self.leaves["weights"].append(float(np.float32(self._rng.normal())))
        return count


def tree_ensemble(seed: int, aggregate: int, post: int, share: bool) -> onnx.ModelProto:
    """A model of one TreeEnsemble; input `x` [N, 3], output `y`."""
    rng = np.random.default_rng(seed)
    targets = int(rng.integers(1, 4))
    growing = Growing(rng, targets, share)
    roots = [growing.grow(int(rng.integers(4)), True) for _ in range(int(rng.integers(1, 4)))]
    attributes: dict[str, Any] = {f"nodes_{k}": v for k, v in growing.nodes.items()}
    attributes |= {f"leaf_{name}": values for name, values in growing.leaves.items()}
    if growing.members:
        attributes["membership_values"] = growing.members
    for name in ("nodes_modes", "nodes_splits", "leaf_weights", "membership_values"):
        if name in attributes:
            kind = TensorProto.UINT8 if name == "nodes_modes" else TensorProto.FLOAT
            values = attributes[name]
            attributes[name] = helper.make_tensor(name, kind, [len(values)], values)
    node = helper.make_node(
        "TreeEnsemble",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=targets,
        aggregate_function=aggregate,
        post_transform=post,
        tree_roots=roots,
        **attributes,
    )
    return model_of(node, FEATURES, {"y": TensorProto.FLOAT}, version=5)
