#!/usr/bin/env bash
# quantize_static of ONNX Runtime fails by channel on biases that are no vector of filters
#
# With `per_channel=True` a Gemm whose C is a scalar, [N, 1] or [N, M], and a ConvTranspose of two
# groups with a bias, are not quantized: an IndexError or a ValueError of numpy, which names no
# node. All are valid ONNX. By tensor all are quantized and right; by channel those with a C of [M],
# and with one group.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   Gemm, C of [5], by channel: 38.1 dB
#   Gemm, C of [5], by tensor: 41.0 dB
#   Gemm, C of [], by channel: IndexError: too many indices for array: array is 0-dimen
#   Gemm, C of [], by tensor: 40.1 dB
#   Gemm, C of [3, 1], by channel: IndexError: index 3 is out of bounds for axis 0 with siz
#   Gemm, C of [3, 1], by tensor: 37.7 dB
#   Gemm, C of [3, 5], by channel: ValueError: The truth value of an array with more than o
#   Gemm, C of [3, 5], by tensor: 46.1 dB
#   ConvTranspose, 1 group, by channel: 37.5 dB
#   ConvTranspose, 1 group, by tensor: 37.0 dB
#   ConvTranspose, 2 groups, by channel: ValueError: operands could not be broadcast together wit
#   ConvTranspose, 2 groups, by tensor: 38.0 dB
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


gemm = "(float[3,4] x) => (float[3,5] y) { y = Gemm(x, w, b) }"
transposed = """(float[1,4,6,6] x) => (float[1,6,8,8] y) {
    y = ConvTranspose<group = GROUPS>(x, w, b) }"""
cases = {
    "Gemm, C of [5]": (gemm, (3, 4), (4, 5), (5,)),
    "Gemm, C of []": (gemm, (3, 4), (4, 5), ()),
    "Gemm, C of [3, 1]": (gemm, (3, 4), (4, 5), (3, 1)),
    "Gemm, C of [3, 5]": (gemm, (3, 4), (4, 5), (3, 5)),
    "ConvTranspose, 1 group": (
        transposed.replace("GROUPS", "1"), (1, 4, 6, 6), (4, 6, 3, 3), (6,),
    ),
    "ConvTranspose, 2 groups": (
        transposed.replace("GROUPS", "2"), (1, 4, 6, 6), (4, 3, 3, 3), (6,),
    ),
}
refused, right = [], []
for name, (graph, shape, weights, bias) in cases.items():
    layer = {"w": normal(*weights), "b": np.asarray(normal(*bias))}
    for channels in (True, False):
        try:
            right.append(
                quantized(graph, shape, layer, weight_type=QuantType.QInt8, per_channel=channels)
            )
            outcome = f"{right[-1]:.1f} dB"
        except (IndexError, ValueError) as error:
            refused.append((name, channels))
            outcome = f"{type(error).__name__}: {error}"[:56]
        print(f"{name}, by {'channel' if channels else 'tensor'}: {outcome}")
names = list(cases)
conclude(refused == [(names[i], True) for i in (1, 2, 3, 5)] and min(right) > 30)
EOF
