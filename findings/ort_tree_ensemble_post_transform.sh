#!/usr/bin/env bash
# ONNX Runtime exchanges SOFTMAX and LOGISTIC of TreeEnsemble
#
# TreeEnsemble (ai.onnx.ml 5) has its post transform as a number: 1 is SOFTMAX and 2 is LOGISTIC.
# ONNX Runtime takes 1 for LOGISTIC and 2 for SOFTMAX. The control is the older
# TreeEnsembleRegressor, which has names, with the same leaf.
#
# Versions: onnxruntime 1.32.0, onnx 1.23.2; Python 3.11, x86_64 Linux.
# Seen, of sums 1 and 3:
#   TreeEnsembleRegressor SOFTMAX:  0.119 0.881
#   TreeEnsemble 1 (SOFTMAX):       0.731 0.953
#   TreeEnsembleRegressor LOGISTIC: 0.731 0.953
#   TreeEnsemble 2 (LOGISTIC):      0.119 0.881
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


def run(op, version, **attributes):
    node = helper.make_node(op, ["x"], ["y"], domain="ai.onnx.ml", n_targets=2, **attributes)
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("x", "y")]
    graph = helper.make_graph([node], "trees", ports[:1], ports[1:])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", version)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.zeros((1, 1), np.float32)})[0][0]


def tensor(kind, values):
    return helper.make_tensor("t", kind, [len(values)], values)


lists = dict(
    nodes_treeids=[0, 1], nodes_nodeids=[0, 0], nodes_featureids=[0, 0], nodes_values=[0.0, 0.0],
    nodes_modes=["LEAF", "LEAF"], nodes_truenodeids=[0, 0], nodes_falsenodeids=[0, 0],
    target_treeids=[0, 1], target_nodeids=[0, 0], target_ids=[0, 1], target_weights=[1.0, 3.0],
)
new = dict(
    tree_roots=[0, 1], nodes_modes=tensor(TensorProto.UINT8, [0, 0]), nodes_featureids=[0, 0],
    nodes_splits=tensor(TensorProto.FLOAT, [9.0, 9.0]), nodes_truenodeids=[0, 2],
    nodes_trueleafs=[1, 1], nodes_falsenodeids=[1, 3], nodes_falseleafs=[1, 1],
    leaf_targetids=[0, 0, 1, 1], leaf_weights=tensor(TensorProto.FLOAT, [1.0, 1.0, 3.0, 3.0]),
)
found = []
for number, name in ((1, "SOFTMAX"), (2, "LOGISTIC")):
    old = run("TreeEnsembleRegressor", 3, post_transform=name, **lists)
    now = run("TreeEnsemble", 5, post_transform=number, **new)
    print(f"TreeEnsembleRegressor {name}:", *(f"{v:.3f}" for v in old))
    print(f"TreeEnsemble {number} ({name}):", *(f"{v:.3f}" for v in now))
    found += [old, now]
exchanged = np.allclose(found[1], found[2]) and np.allclose(found[3], found[0])
print("as described" if exchanged else "THE BEHAVIOUR HAS CHANGED")
sys.exit(0 if exchanged else 1)
EOF
