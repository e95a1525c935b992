#!/usr/bin/env bash
# onnxoptimizer puts zeros around a map into a MaxPool, which pads with minus infinity
#
# The default passes join a Pad of zeros with the MaxPool behind it: maps below zero lose the zeros
# at their edges. A Pad in front of an AveragePool with pads of its own is joined as well: its
# zeros, which counted as elements, do so no longer. Nothing is logged. An AveragePool without pads,
# a Conv, and maps above zero are right.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0, onnxoptimizer 0.4.2;
# Python 3.11, x86_64 Linux.
# Seen:
#   MaxPool, map below zero: MaxPool, greatest error 1.3941
#   MaxPool, map above zero: MaxPool, greatest error 0.0000
#   AveragePool with pads: AveragePool, greatest error 0.2777
#   AveragePool without pads: AveragePool, greatest error 0.0000
#   Conv with pads: Conv, greatest error 0.0000
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 onnxoptimizer==0.4.2

"$work/venv/bin/python" <<'EOF'
import sys

import numpy as np
import onnx
import onnxoptimizer
import onnxruntime as ort


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def run(model, x):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


above = 1 + np.random.default_rng(0).random((1, 1, 6, 6), np.float32)
error = {}
for case, side, reader, x in (
    ("MaxPool, map below zero", 6, "MaxPool <kernel_shape = [3, 3]> (p)", -above),
    ("MaxPool, map above zero", 6, "MaxPool <kernel_shape = [3, 3]> (p)", above),
    ("AveragePool with pads", 8, "AveragePool <kernel_shape=[3,3], pads=[1,1,1,1]> (p)", above),
    ("AveragePool without pads", 6, "AveragePool <kernel_shape = [3, 3]> (p)", above),
    ("Conv with pads", 8, "Conv <pads = [1, 1, 1, 1]> (p, w)", above),
):
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        padded (float[1,1,6,6] x) => (float[1,1,{side},{side}] y)
        <int64[8] sizes = {{0, 0, 1, 1, 0, 0, 1, 1}}> {{
            p = Pad(x, sizes)
            y = {reader}
        }}""")
    if "Conv" in reader:
        weights = np.ones((1, 1, 3, 3), np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    onnx.checker.check_model(model, full_check=True)
    optimized = onnxoptimizer.optimize(model)
    error[case] = np.abs(run(model, x) - run(optimized, x)).max()
    operators = " ".join(node.op_type for node in optimized.graph.node)
    print(f"{case}: {operators}, greatest error {error[case]:.4f}")
conclude([value > 0.1 for value in error.values()] == [True, False, True, False, False])
EOF
