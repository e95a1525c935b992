#!/usr/bin/env bash
# A layer's result is at other places where it is reshaped to 5 dimensions, the last two equal
#
# The graph is MatMul, Reshape, Abs in plain Q/DQ form, at 8 bits; at 16 bits it is the same. The
# same layer reshaped to other sizes is right, and so is the Reshape of what another operator gives,
# also of a product by 1 behind the layer.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (the same on v75, v79 and v81: SOC_MODEL=57, 69 and 72):
#   to [2, 3, 5, 7, 7]: 0.7 dB
#   to [2, 2, 2, 16, 16]: 0.3 dB
#   to [2, 3, 5, 7, 8]: 55.3 dB
#   to [2, 3, 5, 7, 7], with a product by 1 between: 54.7 dB
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 onnxruntime-qnn==2.7.0

"$work/venv/bin/python" - "$work" <<'EOF'
import os
import sys

import numpy as np
import onnx
import onnxruntime as ort
import onnxruntime_qnn as qnn

NPU = "QNNExecutionProvider"
SOC = os.environ.get("SOC_MODEL", "77")  # QCS9075, Hexagon v73
ort.set_default_logger_severity(3)
ort.register_execution_provider_library(NPU, qnn.get_library_path())


def on_cpu(model, feeds):
    """What the graph means: ONNX Runtime's CPU provider, operator by operator."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(
        None, feeds
    )[0]


def on_npu(model, feeds):
    """What the simulator of the NPU makes of it; nothing may fall back to the CPU."""
    options = ort.SessionOptions()
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    devices = [device for device in ort.get_ep_devices() if device.ep_name == NPU][:1]
    settings = {"backend_path": qnn.get_qnn_htp_path(), "soc_model": SOC}
    options.add_provider_for_devices(devices, settings | {"enable_htp_fp16_precision": "1"})
    return ort.InferenceSession(model, options).run(None, feeds)[0]


def sqnr(truth, found):
    """Signal-to-quantization-noise ratio in dB; 200 where nothing differs."""
    noise = np.square(truth - found).sum()
    return 10 * np.log10(np.square(truth).sum() / noise) if noise else 200.0


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def layer(sizes, by_one=False):
    """MatMul with a constant matrix, Reshape to `sizes` and Abs, behind Q/DQ pairs."""
    rows, last = int(np.prod(sizes[:-1])), sizes[-1]
    between = """one = DequantizeLinear(code, so, z) same = Mul(prodf, one)
            sameq = QuantizeLinear(same, sa, z) samef = DequantizeLinear(sameq, sa, z)"""
    return onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        layer (uint8[{rows},{last}] x) => (uint8[{",".join(map(str, sizes))}] y)
        <float sx = {{0.02}}, float sa = {{0.03}}, uint8 z = {{128}}, float sw = {{0.006}},
         int8 zw = {{0}}, float so = {{0.01}}, uint8 code = {{228}},
         int64[5] shape = {{{", ".join(map(str, sizes))}}}> {{
            xf = DequantizeLinear(x, sx, z)
            wf = DequantizeLinear(w, sw, zw)
            prod = MatMul(xf, wf)
            prodq = QuantizeLinear(prod, sa, z)
            prodf = DequantizeLinear(prodq, sa, z)
            {between if by_one else ""}
            five = Reshape({"samef" if by_one else "prodf"}, shape)
            fiveq = QuantizeLinear(five, sa, z)
            fivef = DequantizeLinear(fiveq, sa, z)
            size = Abs(fivef)
            y = QuantizeLinear(size, sa, z)
        }}""")


def level(sizes, by_one=False):
    random = np.random.default_rng(0)
    model = layer(sizes, by_one)
    last = sizes[-1]
    weights = random.integers(-127, 128, (last, last)).astype(np.int8)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    x = random.integers(0, 256, (int(np.prod(sizes[:-1])), last)).astype(np.uint8)
    data = model.SerializeToString()
    truth, found = (run(data, {"x": x}).astype(float) - 128 for run in (on_cpu, on_npu))
    return sqnr(truth, found)


found = {sizes: level(sizes) for sizes in [(2, 3, 5, 7, 7), (2, 2, 2, 16, 16), (2, 3, 5, 7, 8)]}
for sizes, db in found.items():
    print(f"to {list(sizes)}: {db:.1f} dB")
by_one = level((2, 3, 5, 7, 7), by_one=True)
print(f"to [2, 3, 5, 7, 7], with a product by 1 between: {by_one:.1f} dB")
wrong = {sizes for sizes, db in found.items() if db < 15}
conclude(wrong == {(2, 3, 5, 7, 7), (2, 2, 2, 16, 16)} and by_one > 30)
EOF
