#!/usr/bin/env bash
# ONNX Runtime drops the first rounding of two Q/DQ pairs with different scales
#
# Where two QuantizeLinear/DequantizeLinear pairs follow each other, one pair remains from the level
# BASIC on, which has the steps of neither. A coarse first scale is lost: 7 values become 244.
# Whoever takes the CPU for the reference of a graph that requantizes sees a finer one. Without
# graph optimization the values are those of the ONNX reference; two equal pairs keep them at every
# level.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   scales 0.5 and 0.01, optimization none: 7 values, greatest error 0.0000
#   scales 0.5 and 0.01, optimization BASIC: 244 values, greatest error 0.2500
#   scales 0.5 and 0.01, optimization default: 244 values, greatest error 0.2500
#   scales 0.01 and 0.05, optimization none: 52 values, greatest error 0.0000
#   scales 0.01 and 0.05, optimization BASIC: 244 values, greatest error 0.0200
#   scales 0.01 and 0.05, optimization default: 244 values, greatest error 0.0200
#   scales 0.02 and 0.02, optimization none: 209 values, greatest error 0.0000
#   scales 0.02 and 0.02, optimization BASIC: 209 values, greatest error 0.0000
#   scales 0.02 and 0.02, optimization default: 209 values, greatest error 0.0000
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0

"$work/venv/bin/python" <<'EOF'
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx.reference import ReferenceEvaluator

ort.set_default_logger_severity(3)


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def run(model, x, level):
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": x})[0]


levels = ort.GraphOptimizationLevel
x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
error = {}
for first, second in ((0.5, 0.01), (0.01, 0.05), (0.02, 0.02)):
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        pairs (float[1000] x) => (float[1000] y)
        <float s1 = {{{first}}}, float s2 = {{{second}}}, uint8 z = {{128}}> {{
            q1 = QuantizeLinear(x, s1, z)
            x1 = DequantizeLinear(q1, s1, z)
            q2 = QuantizeLinear(x1, s2, z)
            y = DequantizeLinear(q2, s2, z)
        }}""")
    onnx.checker.check_model(model, full_check=True)
    (truth,) = ReferenceEvaluator(model).run(None, {"x": x})
    for name, level in (
        ("none", levels.ORT_DISABLE_ALL),
        ("BASIC", levels.ORT_ENABLE_BASIC),
        ("default", levels.ORT_ENABLE_ALL),
    ):
        y = run(model, x, level)
        error[first, second, name] = np.abs(y - truth).max()
        print(
            f"scales {first} and {second}, optimization {name}: {len(np.unique(y))} values,"
            f" greatest error {error[first, second, name]:.4f}"
        )
conclude(
    all((value > 0.01) == (s1 != s2 and name != "none") for (s1, s2, name), value in error.items())
)
EOF
