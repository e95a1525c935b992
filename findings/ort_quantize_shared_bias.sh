#!/usr/bin/env bash
# quantize_static of ONNX Runtime gives a shared bias the scale of its first reader
#
# A bias that two Convs read is quantized once in operator form, with the scale of the first Conv.
# The second adds the codes as if they had its own scale, and its bias is too large or too small by
# the ratio. Nothing is logged. Q/DQ form copies the bias for each reader, and two biases of the
# same values are right.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   one bias, QOperator: 1.4 dB
#   one bias, QDQ: 45.4 dB
#   two biases, QOperator: 42.4 dB
#   two biases, QDQ: 44.0 dB
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
ort.set_default_logger_severity(3)
random = np.random.default_rng(0)


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


class Samples(CalibrationDataReader):
    def __init__(self, samples):
        self.left = iter(samples)

    def get_next(self):
        return next(self.left, None)


def run(path, sample):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, sample)[0]


def normal(*shape):
    return random.standard_normal(shape).astype(np.float32)


def quantized(graph, shape, initializers, **options):
    """SQNR in dB of the quantized model on one of its samples."""
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        layers {graph}""")
    for name, values in initializers.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    onnx.checker.check_model(model, full_check=True)
    given, written = f"{sys.argv[1]}/float.onnx", f"{sys.argv[1]}/quantized.onnx"
    onnx.save(model, given)
    samples = [{"x": normal(*shape)} for _ in range(8)]
    quantize_static(given, written, Samples(samples), **options)
    truth = run(given, samples[0])
    noise = np.square(truth - run(written, samples[0])).sum()
    return 10 * np.log10(np.square(truth).sum() / noise)


layer = {"w1": normal(4, 3, 3, 3), "w2": normal(4, 4, 3, 3) / 20, "b1": normal(4) * np.float32(5)}
db = {}
for shared in (True, False):
    graph = f"""(float[1,3,6,6] x) => (float[1,4,2,2] y) {{
        a = Conv(x, w1, b1) y = Conv(a, w2, {"b1" if shared else "b2"}) }}"""
    biases = {} if shared else {"b2": layer["b1"]}
    for form in (QuantFormat.QOperator, QuantFormat.QDQ):
        db[shared, form] = quantized(
            graph,
            (1, 3, 6, 6),
            layer | biases,
            quant_format=form,
            weight_type=QuantType.QInt8,
        )
        name = "one bias" if shared else "two biases"
        print(f"{name}, {form}: {db[shared, form]:.1f} dB")
wrong = db.pop((True, QuantFormat.QOperator))
conclude(wrong < 15 and min(db.values()) > 30)
EOF
