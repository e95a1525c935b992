"""Random trees as nodes of ai.onnx.ml, for tests against ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")
NASTY = (0.0, -0.0, 1.0, -1.0, 3.0, float("inf"), float("-inf"), float("nan"), 1e-45, 16777216.0)


@dataclass
class Lists:
    """The lists of attributes of a tree node."""

    nodes: dict[str, list[Any]] = field(
        default_factory=lambda: {
            name: []
            for name in (
                "treeids",
                "nodeids",
                "featureids",
                "values",
                "modes",
                "truenodeids",
                "falsenodeids",
                "missing_value_tracks_true",
            )
        }
    )
    weights: dict[str, list[Any]] = field(
        default_factory=lambda: {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    )

    def attributes(self, prefix: str) -> dict[str, list[Any]]:
        nodes = {f"nodes_{name}": values for name, values in self.nodes.items() if values}
        return nodes | {f"{prefix}_{name}": values for name, values in self.weights.items()}


@dataclass(frozen=True)
class Kind:
    """What random trees are like.

    Attributes:
        features: columns of the input.
        depth: of the deepest tree.
        modes: the conditions.
        thresholds: what is compared with.
        ids: targets or classes that leaves have weights for.
        all_ids: whether each leaf has a weight for all of them.
        negative: whether weights may be negative.
    """

    features: int = 3
    depth: int = 4
    modes: tuple[str, ...] = MODES
    thresholds: tuple[float, ...] = NASTY
    ids: tuple[int, ...] = (0,)
    all_ids: bool = True
    negative: bool = True


def random_lists(rng: np.random.Generator, trees: int, kind: Kind) -> Lists:
    """Draws trees."""
    lists = Lists()
    for tree in range(trees):
        count = [0]
        _grow(rng, lists, (tree, count), kind, kind.depth)
    return lists


def _grow(
    rng: np.random.Generator, lists: Lists, place: tuple[int, list[int]], kind: Kind, depth: int
) -> int:
    tree, count = place
    number = count[0]
    count[0] += 1
    at = len(lists.nodes["nodeids"])
    leaf = depth == 0 or rng.random() < 0.2
    row = {
        "treeids": tree,
        "nodeids": number,
        "featureids": 0 if leaf else int(rng.integers(kind.features)),
        "values": 0.0 if leaf else float(np.float32(rng.choice(kind.thresholds))),
        "modes": "LEAF" if leaf else str(rng.choice(kind.modes)),
        "truenodeids": 0,
        "falsenodeids": 0,
        "missing_value_tracks_true": 0 if leaf else int(rng.integers(2)),
    }
    for name, value in row.items():
        lists.nodes[name].append(value)
    if leaf:
        some = 1 + int(rng.integers(len(kind.ids)))
        chosen = kind.ids if kind.all_ids else rng.choice(kind.ids, some, replace=False)
        for target in chosen:
            weight = float(np.float32(rng.normal() if kind.negative else abs(rng.normal()) / 4))
            entries = {"treeids": tree, "nodeids": number, "ids": int(target), "weights": weight}
            for name, value in entries.items():
                lists.weights[name].append(value)
    else:
        lists.nodes["truenodeids"][at] = _grow(rng, lists, place, kind, depth - 1)
        lists.nodes["falsenodeids"][at] = _grow(rng, lists, place, kind, depth - 1)
    return number


def hard_rows(rng: np.random.Generator, features: int, values: tuple[float, ...]) -> Any:
    """Rows of thresholds, their neighbours in float32, NaN, infinities and other numbers."""
    known = np.array(values, np.float32)
    pool = np.concatenate(
        [
            known,
            np.nextafter(known, np.float32(np.inf)),
            np.nextafter(known, np.float32(-np.inf)),
            np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], np.float32),
            rng.normal(size=5).astype(np.float32),
        ]
    )
    return rng.choice(pool, (64, features)).astype(np.float32)


def model_of(
    node: onnx.NodeProto,
    features: int,
    outputs: dict[str, int],
    *,
    version: int = 3,
    element: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A model of one node that reads `x` [N, features]."""
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("x", element, [None, features])],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", version)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def classifier(
    lists: Lists, labels: list[Any], features: int, **attributes: Any
) -> onnx.ModelProto:
    """A TreeEnsembleClassifier with the outputs `label` and `scores`."""
    text = isinstance(labels[0], str)
    attributes["classlabels_strings" if text else "classlabels_int64s"] = labels
    node = helper.make_node(
        "TreeEnsembleClassifier",
        ["x"],
        ["label", "scores"],
        domain="ai.onnx.ml",
        **lists.attributes("class"),
        **attributes,
    )
    kind = TensorProto.STRING if text else TensorProto.INT64
    return model_of(node, features, {"label": kind, "scores": TensorProto.FLOAT})


def regressor(lists: Lists, targets: int, features: int, **attributes: Any) -> onnx.ModelProto:
    """A TreeEnsembleRegressor with the output `y`."""
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=targets,
        **lists.attributes("target"),
        **attributes,
    )
    return model_of(node, features, {"y": TensorProto.FLOAT})
