"""The readers of TreeEnsembleClassifier, TreeEnsembleRegressor and TreeEnsemble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snapq.classical.ensemble import Ensemble, PostTransform
from snapq.classical.reading.graph import Node
from snapq.classical.reading.reader import Reader
from snapq.classical.reading.registry import reads
from snapq.classical.reading.scores import (
    FLOAT32,
    FLOAT64,
    Labels,
    best_class,
    class_labels,
    label_values,
    pick_label,
    post_transform,
    side_by_side,
    transform,
    two_columns,
)
from snapq.classical.reading.trees.raw import (
    EQ,
    GTE,
    LEAF,
    LT,
    MEMBER,
    NEQ,
    RawTrees,
    raw_of_lists,
    raw_of_tree_ensemble,
)
from snapq.classical.reading.trees.structure import Structure, build_structure
from snapq.classical.reading.trees.values import leaf_values, surely_scored, weighted

Aggregate = Literal["sum", "average", "min", "max"]


@dataclass(frozen=True)
class _Trees:
    """An ensemble that is being read.

    Attributes:
        node: its node.
        rows: the name of its rows, float32 [N, F].
        structure: its trees.
        values: float64 [nodes, targets].
        has: bool [nodes, targets], for what each leaf has a weight.
        base: float64 [0], [1] or [targets].
        post: its post transform.
    """

    node: Node
    rows: str
    structure: Structure
    values: NDArray[np.float64]
    has: NDArray[np.bool_]
    base: NDArray[np.float64]
    post: PostTransform

    def ensemble(
        self,
        features: int,
        aggregate: Literal["sum", "average"] = "sum",
        labels: Labels | None = None,
        column: int | None = None,
    ) -> Ensemble:
        """The plain form, of all targets or of one column."""
        values = self.values if column is None else self.values[:, [column]]
        targets = values.shape[1]
        base = self.base if len(self.base) == targets else np.zeros(targets)
        return Ensemble(
            name=self.node.name,
            features=features,
            conditions=self.structure.conditions,
            condition=self.structure.condition,
            on_true=self.structure.on_true,
            on_false=self.structure.on_false,
            values=values,
            roots=self.structure.roots,
            base_values=base.astype(np.float32),
            aggregate=aggregate,
            post_transform=self.post,
            labels=labels,
            one_score=column is not None,
        )


def _read(reader: Reader, node: Node, raw: RawTrees, targets: int, post: PostTransform) -> _Trees:
    rows = reader.rows(node, lambda name: _round_rows(reader, node, raw, name))
    inner = raw.mode != LEAF
    inexact = inner & (raw.mode != MEMBER) & (raw.split.astype(np.float32) != raw.split)
    if (inexact & ~np.isnan(raw.split)).any():
        raise node.error(
            f"{int(inexact.sum())} of its thresholds are of type double and no float32 holds them",
            hint="Convert the model with inputs of type float32 (FloatTensorType).",
        )
    listed, has = leaf_values(node, raw, targets), weighted(raw, targets)
    structure = build_structure(node, raw, reader.samples[rows].shape[1])
    base = node.array("base_values", np.float64)
    if not np.isfinite(base).all():
        raise node.error("one of its base values is infinite or NaN")
    values = np.where(structure.condition[:, None] == LEAF, listed[structure.origin], 0)
    return _Trees(node, rows, structure, values, has[structure.origin], base, post)


def _round_rows(reader: Reader, node: Node, raw: RawTrees, name: str) -> str:
    """Makes float32 of float64 so that every comparison keeps its answer."""
    modes = set(raw.mode[raw.mode != LEAF].tolist())
    below = modes & {LT, GTE}
    if modes & {EQ, NEQ, MEMBER} or (below and modes - below):
        raise node.error(
            "its conditions of several kinds on inputs of type double cannot be kept in float32",
            hint="Convert the model with inputs of type float32 (FloatTensorType).",
        )
    return reader.add("round_to_float32", name, attributes={"up": not below})


def _finished_sums(reader: Reader, sums: str, base: NDArray[np.float64]) -> str:
    """Adds base values to sums and gives float32."""
    if base.any():
        wide = reader.add("Cast", sums, attributes={"to": FLOAT64})
        sums = reader.add("Add", wide, reader.constant(base[None]))
    return reader.add("Cast", sums, attributes={"to": FLOAT32})


@reads("TreeEnsembleRegressor")
def read_regressor(reader: Reader, node: Node) -> None:
    """Reads a regressor of ai.onnx.ml 1 or 3."""
    targets = int(node.attributes.get("n_targets", 0))
    if targets < 1:
        raise node.error("it has no target")
    raw = raw_of_lists(node, "target")
    trees = _read(reader, node, raw, targets, post_transform(node))
    if len(trees.base) not in (0, targets):
        raise node.error(f"it has {len(trees.base)} base values for {targets} targets")
    name = str(node.attributes.get("aggregate_function", "SUM")).lower()
    _finish_regressor(reader, trees, name, node.outputs[0])


@reads("TreeEnsemble")
def read_tree_ensemble(reader: Reader, node: Node) -> None:
    """Reads an ensemble of ai.onnx.ml 5."""
    targets = int(node.attributes.get("n_targets", 0))
    if targets < 1:
        raise node.error("it has no target")
    post = int(node.attributes.get("post_transform", 0))
    names: dict[int, PostTransform] = {0: "NONE", 3: "SOFTMAX_ZERO", 4: "PROBIT"}
    if post not in names:
        raise node.error(
            "its post transforms SOFTMAX and LOGISTIC are exchanged in ONNX Runtime",
            hint="Write it without one, and a Softmax or Sigmoid behind it.",
        )
    aggregates = ("average", "sum", "min", "max")
    aggregate = int(node.attributes.get("aggregate_function", 1))
    if not 0 <= aggregate < len(aggregates):
        raise node.error(f"its aggregate_function {aggregate} is not covered")
    trees = _read(reader, node, raw_of_tree_ensemble(node), targets, names[post])
    double = reader.samples[node.inputs[0]].dtype == np.float64
    _finish_regressor(reader, trees, aggregates[aggregate], node.outputs[0], double=double)


def _finish_regressor(
    reader: Reader, trees: _Trees, aggregate: str, output: str, *, double: bool = False
) -> None:
    """Of several targets ONNX Runtime gives 0, without base value, where no leaf has a weight."""
    structure, features = trees.structure, reader.samples[trees.rows].shape[1]
    always, never = surely_scored(trees.has, structure.condition, structure.roots)
    several = trees.values.shape[1] > 1
    base, scored = trees.base, None
    if several and len(base):
        base = np.where(never, 0, base)
    if aggregate in ("min", "max") or (several and base.any() and (~always & ~never).any()):
        sums, scored = _on_host(reader, trees, aggregate)
    elif aggregate in ("sum", "average"):
        form = trees.ensemble(features, "average" if aggregate == "average" else "sum")
        sums = reader.estimate(form, trees.rows)
    else:
        raise trees.node.error(f"its aggregate_function '{aggregate}' is not covered")
    if aggregate == "average":
        count = reader.constant(np.float64(len(structure.roots)))
        sums = reader.add("Div", reader.add("Cast", sums, attributes={"to": FLOAT64}), count)
    scores = _finished_sums(reader, sums, base)
    if scored is not None and several:
        scores = reader.add("Where", scored, scores, reader.constant(np.float32(0)))
    # ONNX Runtime leaves the other post transforms out where there is one target.
    if several or trees.post == "PROBIT":
        scores = transform(reader, scores, trees.post)
    reader.add("Cast", scores, attributes={"to": FLOAT64 if double else FLOAT32}, outputs=[output])


def _on_host(reader: Reader, trees: _Trees, aggregate: str) -> tuple[str, str]:
    """Walks the trees on the host: what the NPU's part, which only adds, cannot say.

    Returns:
        The sums (least or largest values) float64 [N, targets], and whether leaves had weights for
        them, bool [N, targets].
    """
    form = trees.ensemble(reader.samples[trees.rows].shape[1])
    reader.notes.append(
        f"'{trees.node.name}' runs on the host: it takes the {aggregate} of its trees, and leaves "
        "targets out of some leaves or is no sum."
    )
    leaves = reader.add("tree_leaves", trees.rows, arrays=form.arrays)
    scored = reader.add("tree_scored", leaves, arrays={"scored": trees.has})
    values, combine = trees.values, "sum"
    if aggregate in ("min", "max"):
        combine = aggregate
        lacking = (trees.structure.condition[:, None] == LEAF) & ~trees.has
        if values.shape[1] > 1:
            values = np.where(lacking, np.inf if aggregate == "min" else -np.inf, values)
    attributes = {"aggregate": combine}
    sums = reader.add("tree_sums", leaves, attributes=attributes, arrays={"values": values})
    return sums, scored


@reads("TreeEnsembleClassifier")
def read_classifier(reader: Reader, node: Node) -> None:
    """Reads a classifier of ai.onnx.ml 1 or 3."""
    labels = class_labels(node, "classlabels_int64s")
    raw = raw_of_lists(node, "class")
    trees = _read(reader, node, raw, len(labels), post_transform(node))
    if len(labels) == 2:
        _read_two_classes(reader, trees, raw, labels)
    else:
        _read_more_classes(reader, trees, raw, labels)


def _read_more_classes(reader: Reader, trees: _Trees, raw: RawTrees, labels: Labels) -> None:
    """The label is the class with the largest score of those that have a weight at all."""
    node, structure, base = trees.node, trees.structure, trees.base
    if len(base) not in (0, len(labels)):
        raise node.error(f"it has {len(base)} base values for {len(labels)} classes")
    always, never = surely_scored(trees.has, structure.condition, structure.roots)
    features = reader.samples[trees.rows].shape[1]
    if len(base) or always.all() or (raw.weight >= 0).all():
        scored = None if len(base) or not never.any() else reader.constant(~never[None])
        sums = reader.estimate(trees.ensemble(features, labels=labels), trees.rows)
    else:
        sums, scored = _on_host(reader, trees, "sum")
    scores = _finished_sums(reader, sums, base)
    judged = scores
    if scored is not None:
        judged = reader.add("Where", scored, scores, reader.constant(np.float32(-np.inf)))
    pick_label(reader, label_values(labels), best_class(reader, judged), node.outputs[0])
    _give(reader, transform(reader, scores, trees.post), node)


def _give(reader: Reader, scores: str, node: Node) -> None:
    """Gives the scores the name of the node's second output, where it has one."""
    if len(node.outputs) > 1 and node.outputs[1]:
        reader.add("Identity", scores, outputs=[node.outputs[1]])


def _read_two_classes(reader: Reader, trees: _Trees, raw: RawTrees, labels: Labels) -> None:
    """ONNX Runtime's rules for two classes, which depend on what the file leaves out.

    Where one class id only has weights, its score decides between the labels, at 0.5 if no weight
    is negative, else at 0. Base values change which score that is.
    """
    node = trees.node
    if len(trees.base) > 2:
        raise node.error(f"it has {len(trees.base)} base values for two classes")
    always, never = surely_scored(trees.has, trees.structure.condition, trees.structure.roots)
    if (~always & ~never).any() and not (never[1] and not len(trees.base)):
        raise node.error(
            "some of its leaves leave a class out, which ONNX Runtime takes for another model",
            hint="Give every leaf a weight for each class, 0 where it has none.",
        )
    if always.all():
        _read_both_scores(reader, trees, labels)
    else:
        _read_one_score(reader, trees, labels, 1 if never[0] else 0, bool((raw.weight >= 0).all()))


def _read_both_scores(reader: Reader, trees: _Trees, labels: Labels) -> None:
    """Both classes have weights: the label is 1 where the second score is above 0, else 0."""
    node, base = trees.node, trees.base
    reader.notes.append(
        f"'{node.name}' has weights for both of its classes: like ONNX Runtime, it answers by the "
        "second score alone, with the label 1 (the second text) where that is above 0, else 0."
    )
    features = reader.samples[trees.rows].shape[1]
    sums = reader.estimate(trees.ensemble(features, labels=labels), trees.rows)
    if len(base) == 2:  # ONNX Runtime takes the first sum and the second base value for both
        first = _column(reader, _finished_sums(reader, sums, np.array([base[1], 0])), 0)
        scores = side_by_side(reader, reader.add("Neg", first), first)
        second = first
    else:
        scores = _finished_sums(reader, sums, np.r_[base, 0] if len(base) else base)
        second = _column(reader, scores, 1)
    chosen = label_values(labels if isinstance(labels[0], str) else (0, 1))
    pick_label(reader, chosen, _above(reader, second, 0), node.outputs[0])
    _give(reader, transform(reader, scores, trees.post), node)


def _read_one_score(
    reader: Reader, trees: _Trees, labels: Labels, column: int, positive: bool
) -> None:
    """One class id has weights, `column`."""
    node, base = trees.node, trees.base
    features = reader.samples[trees.rows].shape[1]
    form = trees.ensemble(features, labels=labels, column=column)
    sums = reader.estimate(form, trees.rows)
    if column == 1 and len(base) == 2:
        raise node.error(
            "ONNX Runtime answers from its base values alone, whatever its trees say",
            hint="Give the weights to the first class, or leave the base values out.",
        )
    own = base[:1] if column == 0 else np.zeros(0)
    score = _finished_sums(reader, sums, own)
    index = _above(reader, score, 0.5 if positive else 0)
    pick_label(reader, label_values(labels), index, node.outputs[0])
    if column == 0 and len(base) < 2:
        if trees.post == "PROBIT":
            raise node.error("its post_transform PROBIT gives one score of two")
        _give(reader, two_columns(reader, score, trees.post, whole=positive), node)
        return
    zero = reader.add("Mul", score, reader.constant(np.float32(0)))
    pair = (score, zero) if column == 0 else (zero, score)
    _give(reader, transform(reader, side_by_side(reader, *pair), trees.post), node)


def _column(reader: Reader, scores: str, index: int) -> str:
    """Adds the step that takes one column [N, 1] of scores."""
    which = reader.constant(np.array([index], np.int64))
    return reader.add("Gather", scores, which, attributes={"axis": 1})


def _above(reader: Reader, score: str, limit: float) -> str:
    """Adds the steps that give 1 for scores [N, 1] above a limit, else 0: int64 [N]."""
    above = reader.add("Greater", score, reader.constant(np.float32(limit)))
    flat = reader.add("Reshape", above, reader.constant(np.array([-1], np.int64)))
    return reader.add("Cast", flat, attributes={"to": 7})
