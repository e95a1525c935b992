#!/usr/bin/env bash
# quantize_static of ONNX Runtime drops a Clip whose range leaves out 0
#
# A Clip behind Conv is removed, as the range of the quantizer is to take its place. That range
# always includes 0: behind Clip(0.5, 2) values from 0 to 0.5 come through, behind Clip(-2, -0.5)
# those above -0.5. Nothing is logged. Clip(0, 2), whose end is 0, is right.
# `QDQKeepRemovableActivations` keeps the node and the values.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   Clip(0.0, 2.0), kept False: 0 Clip, values from 0.00 to 2.00
#   Clip(0.0, 2.0), kept True: 1 Clip, values from 0.00 to 2.00
#   Clip(0.5, 2.0), kept False: 0 Clip, values from 0.00 to 2.00
#   Clip(0.5, 2.0), kept True: 1 Clip, values from 0.50 to 2.00
#   Clip(-2.0, -0.5), kept False: 0 Clip, values from -2.00 to 0.00
#   Clip(-2.0, -0.5), kept True: 1 Clip, values from -2.00 to -0.50
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


samples = [{"x": random.standard_normal((1, 3, 8, 8)).astype(np.float32)} for _ in range(8)]
weights = random.standard_normal((3, 3, 1, 1)).astype(np.float32)
found = {}
for low, high in ((0.0, 2.0), (0.5, 2.0), (-2.0, -0.5)):
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        one (float[1,3,8,8] x) => (float[1,3,8,8] y)
        <float low = {{{low}}}, float high = {{{high}}}> {{
            c = Conv(x, w)
            y = Clip(c, low, high)
        }}""")
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, f"{sys.argv[1]}/float.onnx")
    for keep in (False, True):
        path = f"{sys.argv[1]}/quantized.onnx"
        quantize_static(
            f"{sys.argv[1]}/float.onnx",
            path,
            Samples(samples),
            activation_type=QuantType.QUInt16,
            weight_type=QuantType.QInt8,
            extra_options={"QDQKeepRemovableActivations": keep},
        )
        quantized = onnx.load(path)
        (y,) = run(quantized, samples[0])
        clips = sum(node.op_type == "Clip" for node in quantized.graph.node)
        beyond = max(low - y.min(), y.max() - high)
        found[low, keep] = clips, beyond
        print(
            f"Clip({low}, {high}), kept {keep}: {clips} Clip,"
            f" values from {y.min():.2f} to {y.max():.2f}"
        )
conclude(
    all(found[low, False][0] == 0 and found[low, False][1] > 0.4 for low in (0.5, -2.0))
    and found[0.0, False][0] == 0
    and found[0.0, False][1] < 0.01
    and all(found[low, True][0] == 1 and found[low, True][1] < 0.01 for low in (0.5, -2.0))
)
EOF
