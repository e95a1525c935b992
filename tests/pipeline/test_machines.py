"""Runs of support vector machines and linear models, from the table to the answers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import snapq
from snapq.bundle.read import Bundle
from snapq.cpu import CpuModel

pytestmark = [pytest.mark.npu, pytest.mark.slow]

ML = "ai.onnx.ml"
FEATURES = 5
SPREAD = 10.0 ** np.arange(-2, 3)
DEPLOY = """\
name: machines
model: {path: model.onnx, inputs: {x: [16, 5]}}
devices: [qcs9075]
data: {calibration: {table: rows.csv}, evaluation: {table: rows.csv}}
stages: [{package: {golden_samples: 1, optimization_modes: [3]}}]
"""


def rows(count: int, seed: int) -> np.ndarray:
    """Rows float32 [count, 5] of scales from 0.01 to 100."""
    return (np.random.default_rng(seed).normal(size=(count, FEATURES)) * SPREAD).astype(np.float32)


def two_machines() -> onnx.ModelProto:
    """A scaler, a classifier with probabilities of three classes, and a cubic regressor."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(18, FEATURES)).astype(np.float32).reshape(-1).tolist()
    scaler = helper.make_node(
        *("Scaler", ["x"], ["scaled"]), domain=ML, offset=[0.0] * 5, scale=(1 / SPREAD).tolist()
    )
    classifier = helper.make_node(
        *("SVMClassifier", ["scaled"], ["label", "probabilities"]),
        domain=ML,
        kernel_type="RBF",
        kernel_params=[0.2, 0.0, 3.0],
        vectors_per_class=[5, 6, 7],
        support_vectors=vectors,
        coefficients=rng.normal(size=36).astype(np.float32).tolist(),
        rho=[0.1, -0.2, 0.05],
        prob_a=[-1.5, -2.0, -1.0],
        prob_b=[0.1, -0.1, 0.0],
        classlabels_strings=["green", "red", "yellow"],
    )
    regressor = helper.make_node(
        *("SVMRegressor", ["scaled"], ["size"]),
        domain=ML,
        kernel_type="POLY",
        kernel_params=[0.2, 1.0, 3.0],
        n_supports=18,
        support_vectors=vectors,
        coefficients=(100 * rng.uniform(0, 1, 18)).astype(np.float32).tolist(),
        rho=[500.0],
    )
    outputs = [
        ("label", TensorProto.STRING, [None]),
        ("probabilities", TensorProto.FLOAT, [None, 3]),
        ("size", TensorProto.FLOAT, [None, 1]),
    ]
    return model([scaler, classifier, regressor], outputs)


def linear() -> onnx.ModelProto:
    """Two targets of features that nobody scaled."""
    weights = np.random.default_rng(0).normal(size=(2, FEATURES)) / SPREAD * 40
    node = helper.make_node(
        *("LinearRegressor", ["x"], ["prices"]),
        domain=ML,
        targets=2,
        coefficients=weights.astype(np.float32).reshape(-1).tolist(),
        intercepts=[1000.0, -20.0],
    )
    return model([node], [("prices", TensorProto.FLOAT, [None, 2])])


def model(
    nodes: list[onnx.NodeProto], outputs: list[tuple[str, int, list[int | None]]]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "machines",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, FEATURES])],
        [helper.make_tensor_value_info(*output) for output in outputs],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(ML, 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def finished(folder: Path, made: onnx.ModelProto, *overrides: str) -> snapq.Run:
    """A run over a table of 48 rows."""
    onnx.save(made, folder / "model.onnx")
    with (folder / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([list("abcde"), *rows(48, 1).tolist()])
    (folder / "deploy.yaml").write_text(DEPLOY)
    return snapq.run(snapq.load(folder / "deploy.yaml", overrides), runs=folder / "runs")


def test_two_machines_of_one_graph_run_on_the_npu_together(tmp_path: Path) -> None:
    run = finished(tmp_path, two_machines())
    labels, probabilities, size = run.record.answers
    assert labels.equal + labels.ties == labels.rows == 48
    assert probabilities.largest < 0.005
    assert size.largest < 0.003 * size.range
    assert run.record.placements[0].cpu == 0
    assert run.bundle is not None
    opened = Bundle.open(run.bundle)
    assert len(opened.boundary.outputs) == 2
    given, wanted = opened.golden_rows(), opened.golden_answers()
    values = {**given, **CpuModel(run.bundle / "cpu.onnx").run(given)}
    assert values["label"].tolist() == wanted["label"].tolist()
    head = CpuModel(run.bundle / "head.onnx").run(given)
    part = CpuModel(run.bundle / "model.onnx").run(head)
    tail = CpuModel(run.bundle / "tail.onnx")
    around = tail.run({name: {**given, **part}[name] for name in tail.inputs})
    np.testing.assert_allclose(around["size"], wanted["size"], rtol=1e-4)
    np.testing.assert_allclose(around["probabilities"], wanted["probabilities"], atol=2e-3)


def test_a_linear_model_is_quantized_to_w8a16_where_there_is_no_fp16(tmp_path: Path) -> None:
    run = finished(tmp_path, linear(), 'devices=["qcs6490"]')
    (prices,) = run.record.answers
    assert prices.label == "w8a16"
    assert prices.largest < 0.01 * prices.range
    assert min(item.sqnr_db for item in run.record.fidelity) > 40
