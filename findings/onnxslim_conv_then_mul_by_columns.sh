#!/usr/bin/env bash
# onnxslim takes a Mul by columns for one by channels, and puts it into the Conv
#
# A Conv of 4 channels and a Mul by a vector [4] become one Conv: the vector, which belongs to the
# last axis, is multiplied into the filters as if it were [4, 1, 1]. Nothing is logged. A vector [4,
# 1, 1] is right, and so is an Add of [4] in place of the Mul.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0, onnxslim 0.1.98;
# Python 3.11, x86_64 Linux.
# Seen:
#   Mul by (4,): Conv, greatest error 4.1646
#   Mul by (4, 1, 1): Conv, greatest error 0.0000
#   Add by (4,): Conv Add, greatest error 0.0000
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 onnxslim==0.1.98

"$work/venv/bin/python" <<'EOF'
import sys

import numpy as np
import onnx
import onnxruntime as ort
import onnxslim


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def run(model, x):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


random = np.random.default_rng(0)
x = random.standard_normal((1, 3, 6, 4)).astype(np.float32)
error = {}
for operator, shape in (("Mul", (4,)), ("Mul", (4, 1, 1)), ("Add", (4,))):
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        one (float[1,3,6,4] x) => (float[1,4,4,4] y)
        {{
            c = Conv(x, w, b)
            y = {operator}(c, v)
        }}""")
    for name, size in (("w", (4, 3, 3, 1)), ("b", (4,)), ("v", shape)):
        values = random.standard_normal(size).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    onnx.checker.check_model(model, full_check=True)
    truth = run(model, x)
    slim = onnxslim.slim(model)
    error[operator, shape] = np.abs(truth - run(slim, x)).max()
    operators = " ".join(node.op_type for node in slim.graph.node)
    print(f"{operator} by {shape}: {operators}, greatest error {error[operator, shape]:.4f}")
wrong = error.pop(("Mul", (4,)))
conclude(wrong > 0.5 and max(error.values()) < 1e-4)
EOF
