"""Small classical models with rows of their own in a table: a whole run on one takes seconds."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from snapq.cpu import CpuModel
from tests.classical.random_trees import Kind, classifier, random_lists

FEATURES = 4
COLUMNS = ("age", "size", "mass", "heat")
NAMES = ["green", "red", "yellow"]
KIND = Kind(
    features=FEATURES,
    modes=("BRANCH_LEQ",),
    thresholds=tuple(float(np.float32(x)) for x in np.linspace(-1.5, 1.5, 9)),
    ids=(0, 1, 2),
    negative=False,
)


def forest(trees: int = 6, seed: int = 0) -> onnx.ModelProto:
    """A forest of three classes that are texts; input `x` [N, 4]."""
    lists = random_lists(np.random.default_rng(seed), trees, KIND)
    return classifier(lists, NAMES, FEATURES, post_transform="NONE")


def machine(seed: int = 0, vectors: int = 12) -> onnx.ModelProto:
    """A scaler and an RBF machine of two classes; input `x` [N, 4], labels 0 and 1."""
    rng = np.random.default_rng(seed)
    ml = "ai.onnx.ml"
    scaler = helper.make_node(
        "Scaler",
        ["x"],
        ["scaled"],
        domain=ml,
        offset=[0.0] * FEATURES,
        scale=[0.5, 1.0, 2.0, 1.0],
    )
    node = helper.make_node(
        "SVMClassifier",
        ["scaled"],
        ["label", "scores"],
        domain=ml,
        kernel_type="RBF",
        kernel_params=[0.3, 0.0, 3.0],
        vectors_per_class=[vectors // 2, vectors - vectors // 2],
        support_vectors=rng.normal(size=vectors * FEATURES).astype(np.float32).tolist(),
        coefficients=rng.normal(size=vectors).astype(np.float32).tolist(),
        rho=[0.1],
        classlabels_ints=[0, 1],
        post_transform="NONE",
    )
    graph = helper.make_graph(
        [scaler, node],
        "machine",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, FEATURES])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 2]),
        ],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(ml, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def rows(count: int, seed: int = 1) -> np.ndarray:
    """Rows float32 [count, 4]."""
    values = np.random.default_rng(seed).normal(size=(count, FEATURES))
    return values.round(3).astype(np.float32)


def write(folder: Path, model: onnx.ModelProto, count: int = 20, wrong: int = 2) -> None:
    """Writes `model.onnx`, and `rows.csv` whose labels are the model's, the first ones not."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    given = rows(count)
    answers: Any = CpuModel(folder / "model.onnx").run({"x": given})["label"].tolist()
    others = sorted(set(answers))
    for index in range(wrong):
        answers[index] = next(one for one in others if one != answers[index])
    with (folder / "rows.csv").open("w", newline="") as file:
        lines = (
            [*map(repr, row.tolist()), label] for row, label in zip(given, answers, strict=True)
        )
        csv.writer(file).writerows([[*COLUMNS, "class"], *lines])
