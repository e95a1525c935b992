#!/usr/bin/env bash
# quantize_static of ONNX Runtime loses `beta` of Gemm, and `alpha` in operator form
#
# In Q/DQ form Gemm's `beta` is set to 1 and the bias is not multiplied by it. In operator form
# (QGemm) the bias is divided by `beta` where it should be multiplied, and is multiplied by `alpha`,
# which belongs to the product alone. Nothing is logged. The models run without graph optimization,
# so that no fusion of the runtime takes part. Dynamic quantization leaves such nodes alone.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   QDQ, alpha 1, beta 1: 43.0 dB
#   QOperator, alpha 1, beta 1: 43.0 dB
#   QDQ, alpha 1, beta 0.5: 2.1 dB
#   QOperator, alpha 1, beta 0.5: -5.3 dB
#   QDQ, alpha 1, beta 2: 5.9 dB
#   QOperator, alpha 1, beta 2: 2.3 dB
#   QDQ, alpha 0.5, beta 1: 46.2 dB
#   QOperator, alpha 0.5, beta 1: 5.9 dB
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
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

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


samples = [{"x": random.standard_normal((5, 16)).astype(np.float32)} for _ in range(8)]
weights = random.standard_normal((16, 4)).astype(np.float32)
bias = np.array([10, -4, 5, 8], np.float32)
db = {}
for alpha, beta in ((1, 1), (1, 0.5), (1, 2), (0.5, 1)):
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        one (float[5,16] x) => (float[5,4] y)
        {{ y = Gemm<alpha={alpha:.1f}, beta={beta:.1f}>(x, w, b) }}""")
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(bias, "b"))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, f"{sys.argv[1]}/float.onnx")
    (truth,) = run(model, samples[0])
    for form in (QuantFormat.QDQ, QuantFormat.QOperator):
        path = f"{sys.argv[1]}/quantized.onnx"
        quantize_static(
            f"{sys.argv[1]}/float.onnx",
            path,
            Samples(samples),
            quant_format=form,
            weight_type=QuantType.QInt8,
        )
        noise = np.square(truth - run(onnx.load(path), samples[0])[0]).sum()
        db[form, alpha, beta] = 10 * np.log10(np.square(truth).sum() / noise)
        print(f"{form}, alpha {alpha}, beta {beta}: {db[form, alpha, beta]:.1f} dB")
qdq, operators = QuantFormat.QDQ, QuantFormat.QOperator
right = db[qdq, 1, 1], db[qdq, 0.5, 1], db[operators, 1, 1]
wrong = db[qdq, 1, 0.5], db[qdq, 1, 2], db[operators, 1, 0.5], db[operators, 0.5, 1]
conclude(min(right) > 35 and max(wrong) < 15)
EOF
