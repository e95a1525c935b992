#!/usr/bin/env bash
# ONNX's shape inference takes an STFT without `onesided` for two-sided
#
# `onesided` of STFT is 1 where it is left out, and ONNX Runtime computes the n // 2 + 1 bins of that.
# Shape inference of the package onnx counts n bins, and so for all that reads them: tools that trust
# it reserve, reshape or refuse by sizes that never come. With `onesided` written out both agree.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0; Python 3.11, x86_64 Linux.
# Seen:
#   left out: inferred [2, 9, 8, 2], computed [2, 9, 5, 2]
#   onesided = 1: inferred [2, 9, 5, 2], computed [2, 9, 5, 2]
#   onesided = 0: inferred [2, 9, 8, 2], computed [2, 9, 8, 2]
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

ort.set_default_logger_severity(3)


def shapes(attributes):
    """The shape of an STFT of 40 samples in frames of 8, every 4: as inferred, as computed."""
    model = onnx.parser.parse_model(f"""
        <ir_version: 8, opset_import: ["": 17]>
        spectrum (float[2,40,1] x) => (float y)
        <int64 step = {{4}}, int64 length = {{8}}> {{ y = STFT{attributes}(x, step, , length) }}""")
    model.graph.output[0].type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph.output[0]
    session = ort.InferenceSession(model.SerializeToString())
    computed = session.run(None, {"x": np.zeros((2, 40, 1), np.float32)})[0]
    return [size.dim_value for size in inferred.type.tensor_type.shape.dim], list(computed.shape)


same = True
for name, attributes, agree in (
    ("left out", "", False),
    ("onesided = 1", " <onesided = 1> ", True),
    ("onesided = 0", " <onesided = 0> ", True),
):
    inferred, computed = shapes(attributes)
    print(f"{name}: inferred {inferred}, computed {computed}")
    same = same and (inferred == computed) == agree
print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
sys.exit(0 if same else 1)
EOF
