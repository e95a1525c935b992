#!/usr/bin/env bash
# onnx.version_converter keeps `axis` where opset 13 changes what it means
#
# Up to opset 12 Softmax, LogSoftmax and Hardmax take all dimensions from `axis` on as one, from
# opset 13 on they run along `axis` alone. The converter writes Flatten and Reshape around Softmax
# and LogSoftmax on the way up. It leaves Hardmax as it is, and so it does with Softmax and
# LogSoftmax on the way down. The result has other values, passes the checker, and nothing is logged.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   Softmax, opset 11 to 13: error 0.000, ['Shape', 'Flatten', 'Softmax', 'Reshape']
#   LogSoftmax, opset 11 to 13: error 0.000, ['Shape', 'Flatten', 'LogSoftmax', 'Reshape']
#   Hardmax, opset 11 to 13: error 1.000, ['Hardmax']
#   Softmax, opset 13 to 11: error 0.546, ['Softmax']
#   LogSoftmax, opset 13 to 11: error 2.200, ['LogSoftmax']
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0

"$work/venv/bin/python" - "$work" <<'EOF'
import sys

import numpy as np
import onnx
import onnxruntime as ort


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def run(model, x):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
error = {}
for operator, old, new in (
    ("Softmax", 11, 13),
    ("LogSoftmax", 11, 13),
    ("Hardmax", 11, 13),
    ("Softmax", 13, 11),
    ("LogSoftmax", 13, 11),
):
    model = onnx.parser.parse_model(f"""
        <ir_version: 7, opset_import: ["": {old}]>
        one (float[2,3,4] x) => (float[2,3,4] y) {{ y = {operator}<axis=1>(x) }}""")
    onnx.checker.check_model(model, full_check=True)
    converted = onnx.version_converter.convert_version(model, new)
    onnx.checker.check_model(converted, full_check=True)
    error[operator, new] = np.abs(run(model, x) - run(converted, x)).max()
    nodes = [node.op_type for node in converted.graph.node]
    print(f"{operator}, opset {old} to {new}: error {error[operator, new]:.3f}, {nodes}")
wrong = error["Hardmax", 13], *(error[operator, 11] for operator in ("Softmax", "LogSoftmax"))
right = error["Softmax", 13], error["LogSoftmax", 13]
conclude(min(wrong) > 0.1 and max(right) < 1e-5)
EOF
