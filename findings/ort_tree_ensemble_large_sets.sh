#!/usr/bin/env bash
# ONNX Runtime cuts values to integers before it looks for them in a larger set
#
# BRANCH_MEMBER of TreeEnsemble (ai.onnx.ml 5) is true where the value is in a set. Of a set with a
# member below 0 or above 30, or with 31 members or more, ONNX Runtime cuts the value to an integer
# first: -1.5 is found in {-1, 0}. Of a small set of small numbers, the control, it does not.
#
# Versions: onnxruntime 1.32.0, onnx 1.23.2; Python 3.11, x86_64 Linux.
# Seen, whether the value is a member:
#   {2, 3}: 2.0 True, 2.5 False
#   {-1, 0}: -1.0 True, -1.5 True
#   {0 ... 31}: 2.0 True, 2.5 True
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


def tensor(kind, values):
    return helper.make_tensor("t", kind, [len(values)], values)


def member(members, values):
    node = helper.make_node(
        "TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", n_targets=1, tree_roots=[0],
        nodes_modes=tensor(TensorProto.UINT8, [6]), nodes_featureids=[0],
        nodes_splits=tensor(TensorProto.FLOAT, [0.0]), nodes_truenodeids=[0], nodes_trueleafs=[1],
        nodes_falsenodeids=[1], nodes_falseleafs=[1], leaf_targetids=[0, 0],
        leaf_weights=tensor(TensorProto.FLOAT, [1.0, 0.0]),
        membership_values=tensor(TensorProto.FLOAT, [*members, float("nan")]),
    )
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("x", "y")]
    graph = helper.make_graph([node], "trees", ports[:1], ports[1:])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 5)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"x": np.array(values, np.float32)[:, None]})[0][:, 0]
    return [bool(value) for value in found]


seen = []
for name, members, values in (
    ("{2, 3}", [2.0, 3.0], [2.0, 2.5]),
    ("{-1, 0}", [-1.0, 0.0], [-1.0, -1.5]),
    ("{0 ... 31}", [float(i) for i in range(32)], [2.0, 2.5]),
):
    answers = member(members, values)
    print(f"{name}:", ", ".join(f"{v} {a}" for v, a in zip(values, answers)))
    seen.append(answers)
same = seen == [[True, False], [True, True], [True, True]]
print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
sys.exit(0 if same else 1)
EOF
