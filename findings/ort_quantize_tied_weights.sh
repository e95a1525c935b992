#!/usr/bin/env bash
# quantize_static of ONNX Runtime gives a transposed weight the scales of the other axis
#
# A weight that serves as w and, behind Transpose, as its transpose (tied encoder and decoder) is
# quantized per channel with a scale for each column. Transpose hands the scales on: its output is
# quantized with them along axis 1, where its rows now lie. Square weights come out wrong without a
# word; others are refused by ONNX Runtime when they run. Per tensor both are right, and so is the
# transpose as Gemm's `transB`, per channel.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   Transpose, 16 x 16, per channel False: 35.5 dB
#   Transpose, 16 x 16, per channel True: 6.4 dB
#   Transpose, 16 x 8, per channel False: 28.1 dB
#   Transpose, 16 x 8, per channel True: refused:
#     For per axis quantization, scale must be 1D tensor with size 16
#   transB, 16 x 16, per channel False: 38.9 dB
#   transB, 16 x 16, per channel True: 40.2 dB
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0

"$work/venv/bin/python" - "$work" <<'EOF'
import logging
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

logging.disable(logging.WARNING)
random = np.random.default_rng(0)


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


class Samples(CalibrationDataReader):
    def __init__(self, samples):
        self.left = iter(samples)

    def get_next(self):
        return next(self.left, None)


def run(model, sample):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, sample)


ort.set_default_logger_severity(4)  # the error is printed below
transpose = "wt = Transpose<perm=[1,0]>(w) z = MatMul(h, wt)"
found = {}
for width, form, decoder in (
    (16, "Transpose", transpose),
    (8, "Transpose", transpose),
    (16, "transB", "z = Gemm<transB=1>(h, w)"),
):
    samples = [{"x": random.standard_normal((5, 16)).astype(np.float32)} for _ in range(8)]
    weights = random.standard_normal((16, width)) * np.geomspace(0.3, 3, width)
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        tied (float[5,16] x) => (float[5,16] z) {{ y = MatMul(x, w) h = Relu(y) {decoder} }}""")
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights.astype(np.float32), "w"))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, f"{sys.argv[1]}/float.onnx")
    (truth,) = run(model, samples[0])
    for per_channel in (False, True):
        path = f"{sys.argv[1]}/quantized.onnx"
        quantize_static(
            f"{sys.argv[1]}/float.onnx",
            path,
            Samples(samples),
            per_channel=per_channel,
            weight_type=QuantType.QInt8,
        )
        try:
            noise = np.square(truth - run(onnx.load(path), samples[0])[0]).sum()
            db = 10 * np.log10(np.square(truth).sum() / noise)
            result = f"{db:.1f} dB"
        except Exception as error:
            db, result = None, f"refused:\n  {str(error).rpartition('. ')[2].strip()}"
        found[form, width, per_channel] = db
        print(f"{form}, 16 x {width}, per channel {per_channel}: {result}")
refused = found.pop(("Transpose", 8, True))
wrong = found.pop(("Transpose", 16, True))
conclude(refused is None and wrong < 15 and min(found.values()) > 25)
EOF
