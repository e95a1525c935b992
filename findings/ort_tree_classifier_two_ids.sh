#!/usr/bin/env bash
# ONNX Runtime answers 0 and 1 where a tree classifier has weights for both of two classes
#
# A TreeEnsembleClassifier with two labels and weights for both class ids gives the literal labels
# 0 and 1, and 1 wherever the second score is above 0, whatever the first one is. With weights for
# one id, or with three labels, it gives the labels of the classes, and the best one.
#
# Versions: onnxruntime 1.32.0, onnx 1.23.2; Python 3.11, x86_64 Linux.
# Seen:
#   labels 10, 20, scores 0.9 and 0.1: label 1
#   labels 10, 20, scores 0.1 and 0.9: label 1
#   labels 10, 20, 30, scores 0.9, 0.1 and 0: label 10
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0

"$work/venv/bin/python" - <<'EOF'
import sys

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper


def label(labels, scores):
    count = len(scores)
    node = helper.make_node(
        "TreeEnsembleClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml",
        nodes_treeids=[0], nodes_nodeids=[0], nodes_featureids=[0], nodes_values=[0.0],
        nodes_modes=["LEAF"], nodes_truenodeids=[0], nodes_falsenodeids=[0],
        class_treeids=[0] * count, class_nodeids=[0] * count, class_ids=list(range(count)),
        class_weights=scores, classlabels_int64s=labels,
    )
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, None),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, None),
        ],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return int(session.run(None, {"x": np.zeros((1, 1), np.float32)})[0][0])


seen = []
for labels, scores in (([10, 20], [0.9, 0.1]), ([10, 20], [0.1, 0.9]), ([10, 20, 30], [0.9, 0.1, 0.0])):
    seen.append(label(labels, scores))
    print("labels", ", ".join(map(str, labels)), "scores", scores, "label", seen[-1])
print("as described" if seen == [1, 1, 10] else "THE BEHAVIOUR HAS CHANGED")
sys.exit(0 if seen == [1, 1, 10] else 1)
EOF
