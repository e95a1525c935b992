#!/usr/bin/env bash
# Integer codes that leave the graph through a bare Reshape are wrong
#
# QuantizeLinear to uint8, then a Reshape of the codes as the last node: values of 5 to 251 come
# back as 0 to 5. A Reshape between DequantizeLinear and QuantizeLinear is right. The form arises
# where a model's outputs are made integers by hand.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (the same on v75, v79 and v81: SOC_MODEL=57, 69 and 72):
#   Reshape bare: 5 to 251, on the NPU 0 to 5
#   Reshape between DQ and Q: 5 to 251, on the NPU 5 to 251
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


TAILS = {
    "bare": "codes = QuantizeLinear(af, so, zo) y = Reshape(codes, shape)",
    "between DQ and Q": """codes = QuantizeLinear(af, so, zo) b = DequantizeLinear(codes, so, zo)
        c = Reshape(b, shape) y = QuantizeLinear(c, so, zo)""",
}


def narrowed(tail):
    return onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        narrowed (uint16[1,3,64,8] x) => (uint8[3,1,64,8] y)
        <float s = {{0.00015}}, uint16 z = {{32768}}, float so = {{0.04}}, uint8 zo = {{128}},
         int64[4] shape = {{3, 1, 64, 8}}> {{
            xf = DequantizeLinear(x, s, z)
            a = Neg(xf)
            aq = QuantizeLinear(a, s, z)
            af = DequantizeLinear(aq, s, z)
            {TAILS[tail]}
        }}""").SerializeToString()


x = np.random.default_rng(0).integers(0, 65536, (1, 3, 64, 8)).astype(np.uint16)
off = {}
for tail in TAILS:
    truth, found = (run(narrowed(tail), {"x": x}).astype(int) for run in (on_cpu, on_npu))
    off[tail] = np.abs(truth - found).max()
    low, high = found.min(), found.max()
    print(f"Reshape {tail}: {truth.min()} to {truth.max()}, on the NPU {low} to {high}")
conclude(off["bare"] > 100 and off["between DQ and Q"] <= 2)
EOF
