#!/usr/bin/env bash
# Concat of quantized rows with a constant of one number is wrong, of two numbers right
#
# Three rows of 8 codes that a LayerNormalization, a Softmax or a Gemm and a Sigmoid has made, and a
# constant of five columns behind them. Where all elements of the constant are equal the compiler
# seems to take the Concat for a Pad; where one of them differs by one code the rows are right. In
# fp16 both are.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen on SoC 77 (v73); within .2 dB on v75 and v81 (SOC_MODEL=57 and 72):
#   LayerNormalization, one number: -8.7 dB
#   LayerNormalization, two numbers: 46.0 dB
#   Softmax, one number: 2.5 dB
#   Softmax, two numbers: 56.4 dB
#   Gemm and Sigmoid, one number: 16.8 dB
#   Gemm and Sigmoid, two numbers: 55.6 dB
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


ROWS = {
    "LayerNormalization": "r = LayerNormalization <axis = 1> (xf, gain)",
    "Softmax": "r = Softmax <axis = 1> (xf)",
    "Gemm and Sigmoid": """g = MatMul(xf, wf) gq = QuantizeLinear(g, gs, z)
        gf = DequantizeLinear(gq, gs, z) r = Sigmoid(gf)""",
}
WIDTH = {"LayerNormalization": 8.0, "Softmax": 1.0, "Gemm and Sigmoid": 1.0}


def level(kind, differs):
    """Signal to noise of the joined rows against the CPU."""
    middle = 128 if kind == "LayerNormalization" else 0
    scale = WIDTH[kind] / 256
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        join (uint8[3,8] x) => (uint8[3,13] y)
        <float s = {{0.02}}, uint8 z = {{128}}, float rs = {{{scale}}}, uint8 rz = {{{middle}}},
         float gs = {{0.05}}, float ws = {{0.01}}, int8 wz = {{0}}, uint8 none = {{0}}> {{
            xf = DequantizeLinear(x, s, z)
            wf = DequantizeLinear(w, ws, wz)
            gain = DequantizeLinear(gains, ws, none)
            {ROWS[kind]}
            rq = QuantizeLinear(r, rs, rz)
            rf = DequantizeLinear(rq, rs, rz)
            cf = DequantizeLinear(c, rs, rz)
            j = Concat <axis = 1> (rf, cf)
            y = QuantizeLinear(j, rs, rz)
        }}""")
    random = np.random.default_rng(0)
    held = np.full((3, 5), 160, np.uint8)
    held[0, 0] += differs
    constants = {
        "c": held,
        "w": random.integers(-127, 128, (8, 8)).astype(np.int8),
        "gains": np.full(8, 100, np.uint8),
    }
    for name, array in constants.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    x = random.integers(0, 256, (3, 8)).astype(np.uint8)
    truth, found = (
        run(model.SerializeToString(), {"x": x}).astype(float) - middle for run in (on_cpu, on_npu)
    )
    return sqnr(truth, found)


levels = {(kind, differs): level(kind, differs) for kind in ROWS for differs in (0, 1)}
for (kind, differs), db in levels.items():
    print(f"{kind}, {'two numbers' if differs else 'one number'}: {db:.1f} dB")
conclude(all((db > 30) == differs for (_, differs), db in levels.items()))
EOF
