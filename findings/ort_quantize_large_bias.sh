#!/usr/bin/env bash
# quantize_static of ONNX Runtime cuts a large bias off, if weights are int4 or uint8
#
# A bias is stored in int32 with the scale of the input times that of the weights. For int8 weights
# the quantizer enlarges the scales of the weights where a bias would not fit. For int4 and for
# uint8 it does not: the bias is cut off at the largest int32, and the output is wrong throughout.
# Nothing is logged. A bias that fits is right with all three.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   QInt8 weights, bias up to 4500.3: 100.6 dB, 0 of 4 codes at the ends of int32
#   QUInt8 weights, bias up to 4500.3: 0.0 dB, 4 of 4 codes at the ends of int32
#   QInt4 weights, bias up to 4500.3: 0.1 dB, 4 of 4 codes at the ends of int32
#   QInt8 weights, bias up to 0.4: 80.4 dB, 0 of 4 codes at the ends of int32
#   QUInt8 weights, bias up to 0.4: 82.9 dB, 0 of 4 codes at the ends of int32
#   QInt4 weights, bias up to 0.4: 57.9 dB, 0 of 4 codes at the ends of int32
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


db, ends = {}, {}
for size in (2000, 0.5):
    layer = {"w": normal(4, 3, 3, 3) * np.float32(1e-3), "b": normal(4) * np.float32(size)}
    for weights in (QuantType.QInt8, QuantType.QUInt8, QuantType.QInt4):
        db[weights, size] = quantized(
            "(float[1,3,6,6] x) => (float[1,4,4,4] y) { y = Conv(x, w, b) }",
            (1, 3, 6, 6),
            layer,
            activation_type=QuantType.QUInt16,
            weight_type=weights,
            per_channel=True,
        )
        codes = np.concatenate([
            onnx.numpy_helper.to_array(values).ravel().astype(np.int64)
            for values in onnx.load(f"{sys.argv[1]}/quantized.onnx").graph.initializer
            if values.data_type == onnx.TensorProto.INT32
        ])
        ends[weights, size] = int((np.abs(codes) >= 2**31 - 1).sum())
        print(
            f"{weights} weights, bias up to {np.abs(layer['b']).max():.1f}:"
            f" {db[weights, size]:.1f} dB, {ends[weights, size]} of 4 codes at the ends of int32"
        )
wrong = [(kind, 2000) for kind in (QuantType.QUInt8, QuantType.QInt4)]
conclude(
    all((ends[case] > 0) == (case in wrong) for case in db)
    and all((value < 30) == (case in wrong) for case, value in db.items())
)
EOF
