#!/usr/bin/env bash
# ONNX Runtime answers class 0 with a probability of 0.57 for class 1
#
# A TreeEnsembleClassifier of two classes, with weights for one id and LOGISTIC: where no weight is
# negative, ONNX Runtime compares the sum before the sigmoid with 0.5, which is a probability of
# 0.62. Label and scores of one row contradict each other. With one negative weight it compares with
# 0. LightGBM models of few trees over a majority of ones have such leaves, and get other labels
# than their own; of more trees some leaf is negative, and they agree.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0, lightgbm 4.7.0, scikit-learn 1.9.1, onnxmltools
# 1.16.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   leaves -0.2 and 0.3: label 1, score of class 1 0.57
#   leaves 0.2 and 0.3: label 0, score of class 1 0.57
#   LightGBM, trees 1: equal labels 0.622, greatest error of a score 0.000000
#   LightGBM, trees 20: equal labels 1.000, greatest error of a score 0.000000
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 \
    lightgbm==4.7.0 scikit-learn==1.9.1 onnxmltools==1.16.0

"$work/venv/bin/python" <<'EOF'
import sys

import lightgbm
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer

ort.set_default_logger_severity(3)


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def run(model, x):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})


def stump(below, above):
    """One split at 0 with the weights of its two leaves."""
    node = helper.make_node(
        "TreeEnsembleClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml",
        nodes_treeids=[0] * 3, nodes_nodeids=[0, 1, 2], nodes_featureids=[0] * 3,
        nodes_values=[0.0] * 3, nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_truenodeids=[1, 0, 0], nodes_falsenodeids=[2, 0, 0],
        class_treeids=[0, 0], class_nodeids=[1, 2], class_ids=[0, 0],
        class_weights=[below, above], classlabels_int64s=[0, 1], post_transform="LOGISTIC",
    )
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 2]),
        ],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


found = {}
for below in (-0.2, 0.2):
    label, scores = run(stump(below, 0.3), np.array([[1.0]], np.float32))
    found[below] = label[0], scores[0, 1]
    print(f"leaves {below} and 0.3: label {label[0]}, score of class 1 {scores[0, 1]:.2f}")
x, y = load_breast_cancer(return_X_y=True)
x = x.astype(np.float32)
equal = {}
for count in (1, 20):
    trees = lightgbm.LGBMClassifier(n_estimators=count, n_jobs=1, verbose=-1).fit(x, y)
    model = convert_lightgbm(trees, initial_types=[("x", FloatTensorType([None, 30]))])
    labels, scores = run(model, x)
    equal[count] = (labels == trees.predict(x)).mean()
    error = np.abs([row[1] for row in scores] - trees.predict_proba(x)[:, 1]).max()
    print(
        f"LightGBM, trees {count}: equal labels {equal[count]:.3f},"
        f" greatest error of a score {error:.6f}"
    )
conclude(
    found[-0.2][0] == 1
    and found[0.2][0] == 0
    and min(score for _, score in found.values()) > 0.5
    and equal[1] < 0.95
    and equal[20] == 1
)
EOF
