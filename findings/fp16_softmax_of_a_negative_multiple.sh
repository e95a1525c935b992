#!/usr/bin/env bash
# In fp16, Softmax of a negative multiple takes the wrong extreme off
#
# `softmax(x * c)` with one number c below 0 has other values. With c above 0, or repeated along the
# axis, which means the same, it is right.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (of other rows of numbers, v75 and v81 have the same: SOC_MODEL=57 and 72):
#   c = {-0.8}: 0.8 dB
#   c = {0.8}: 55.5 dB
#   [6] c = {-0.8, -0.8, -0.8, -0.8, -0.8, -0.8}: 60.4 dB
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


def scaled_softmax(factor):
    return onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        scaled_softmax (float[4,6] x) => (float[4,6] y) <float{factor}> {{
            scaled = Mul(x, c)
            y = Softmax <axis = -1> (scaled)
        }}""").SerializeToString()


x = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
reached = []
for factor in ("c = {-0.8}", "c = {0.8}", "[6] c = {-0.8, -0.8, -0.8, -0.8, -0.8, -0.8}"):
    model = scaled_softmax(" " * (factor[0] != "[") + factor)
    reached.append(sqnr(on_cpu(model, {"x": x}), on_npu(model, {"x": x})))
    print(f"{factor}: {reached[-1]:.1f} dB")
conclude(reached[0] < 20 and min(reached[1:]) > 50)
EOF
