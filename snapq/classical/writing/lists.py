"""Trees back into the attributes of the node that they were read from."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from snapq.classical.ensemble import Ensemble
from snapq.classical.writing import trees as newest
from snapq.classical.writing.trees import EQ, LEQ, LT, Asked, conditions_asked

_MODES = {LEQ: "BRANCH_LEQ", LT: "BRANCH_LT", EQ: "BRANCH_EQ"}
_REPLACED = ("nodes_", "class_", "target_")
_REPLACED_NEWEST = ("nodes_", "leaf_", "membership_values", "n_targets", "tree_roots")


class _Lists:
    """The lists that are being filled."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        names = ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids")
        more = ("falsenodeids", "missing_value_tracks_true")
        self.nodes: dict[str, list[Any]] = {name: [] for name in (*names, *more)}
        self.weights: dict[str, list[Any]] = {
            name: [] for name in ("treeids", "nodeids", "ids", "weights")
        }

    def add(self, tree: int, number: int, asked: Asked | None) -> int:
        """Adds a node and gives its place in the lists."""
        mode, feature, split, missing = asked[:4] if asked else (None, 0, 0.0, False)
        row = (tree, number, feature, split, _MODES.get(mode, "LEAF"), 0, 0, int(missing))  # type: ignore[arg-type]
        for values, value in zip(self.nodes.values(), row, strict=True):
            values.append(value)
        return len(self.nodes["nodeids"]) - 1

    def weigh(self, tree: int, number: int, target: int, weight: float) -> None:
        """Adds a weight of a leaf."""
        for values, value in zip(
            self.weights.values(), (tree, number, target, weight), strict=True
        ):
            values.append(value)

    def attributes(self) -> list[onnx.AttributeProto]:
        """The lists as attributes; sides of NaN only where one is set."""
        named = {f"nodes_{name}": values for name, values in self.nodes.items()}
        if not any(named["nodes_missing_value_tracks_true"]):
            del named["nodes_missing_value_tracks_true"]
        named |= {f"{self._prefix}_{name}": values for name, values in self.weights.items()}
        return [helper.make_attribute(name, values) for name, values in named.items()]


def replace_trees(node: onnx.NodeProto, form: Ensemble) -> None:
    """Gives a node other trees; labels and the like stay.

    Args:
        node: a TreeEnsembleClassifier, TreeEnsembleRegressor or TreeEnsemble, changed in place.
        form: the trees that it gets; for a TreeEnsemble each leaf adds to one target.
    """
    if node.op_type == "TreeEnsemble":
        _replace_newest(node, form)
        return
    prefix = "class" if node.op_type == "TreeEnsembleClassifier" else "target"
    targets = _targets(node, prefix, form)
    wide = any(attribute.name == "nodes_values_as_tensor" for attribute in node.attribute)
    lists = _Lists(prefix)
    asked = conditions_asked(form.arrays)
    for tree, root in enumerate(form.roots.tolist()):
        _fill(lists, form, asked, tree, root, targets)
    kept = [a for a in node.attribute if not a.name.startswith(_REPLACED)]
    del node.attribute[:]
    node.attribute.extend(kept)
    node.attribute.extend(_as_tensors(lists.attributes()) if wide else lists.attributes())


def _replace_newest(node: onnx.NodeProto, form: Ensemble) -> None:
    """A node of ai.onnx.ml 5; thresholds and weights keep their type."""
    splits = next(a.t for a in node.attribute if a.name == "nodes_splits")
    kind = numpy_helper.to_array(splits).dtype.type
    found = newest.attributes(
        newest.Trees(form.arrays), newest.one_weight(form.values), form.targets, kind
    )
    kept = [a for a in node.attribute if not a.name.startswith(_REPLACED_NEWEST)]
    del node.attribute[:]
    node.attribute.extend(kept)
    node.attribute.extend(helper.make_attribute(name, value) for name, value in found.items())


def _targets(node: onnx.NodeProto, prefix: str, form: Ensemble) -> list[int]:
    """The target that each column of the values is for."""
    if not form.one_score:
        return list(range(form.targets))
    ids = next(a for a in node.attribute if a.name == f"{prefix}_ids").ints
    return [int(ids[0])]


def _fill(
    lists: _Lists,
    form: Ensemble,
    asked: list[list[Asked]],
    tree: int,
    root: int,
    targets: list[int],
) -> None:
    """Lists one tree, numbering its nodes as they come; a chain repeats its true side."""
    count = 0
    stack: list[tuple[int, int, list[tuple[int, str]]]] = [(root, 0, [])]
    while stack:
        node, link, above = stack.pop()
        number = count
        count += 1
        for parent, side in above:
            lists.nodes[f"{side}nodeids"][parent] = number
        condition = int(form.condition[node])
        if condition < 0:
            lists.add(tree, number, None)
            for target, weight in _weights(form, node, targets):
                lists.weigh(tree, number, target, weight)
            continue
        at = lists.add(tree, number, asked[condition][link])
        last = link + 1 == len(asked[condition])
        after = (int(form.on_false[node]), 0) if last else (node, link + 1)
        stack.append((*after, [(at, "false")]))
        stack.append((int(form.on_true[node]), 0, [(at, "true")]))


def _weights(form: Ensemble, node: int, targets: list[int]) -> list[tuple[int, float]]:
    """The weights of a leaf; zeros are left out where ONNX Runtime adds them anyway."""
    values = form.values[node]
    sparse = form.targets > 2 and (form.values >= 0).all() and values.any()
    return [
        (target, float(value))
        for target, value in zip(targets, values, strict=True)
        if value or not sparse
    ]


def _as_tensors(attributes: list[onnx.AttributeProto]) -> list[onnx.AttributeProto]:
    """Thresholds and weights as tensors of double, for a node that has them so."""
    changed = []
    for attribute in attributes:
        if attribute.name.endswith(("_values", "_weights")):
            array = np.array(attribute.floats, np.float64)
            tensor = numpy_helper.from_array(array)
            changed.append(helper.make_attribute(f"{attribute.name}_as_tensor", tensor))
        else:
            changed.append(attribute)
    return changed
