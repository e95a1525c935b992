#!/usr/bin/env bash
# In fp16, Add with a constant vector, then Mul by one number: only the first constant is added
#
# `(tanh(x) + c) * 0.5` with c the second operand of the Add and of 2 to 24 elements: the NPU adds
# c[0] to every element. With 32 elements, or with the constant as the first operand, which means
# the same, it is right.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (the same on v75, v79 and v81: SOC_MODEL=57, 69 and 72):
#   Add(t, c): 1.7 dB
#     from what c[0] alone would give: 67.6 dB
#   Add(c, t): 73.9 dB
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


def scaled_sum(operands):
    return onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        scaled_sum (float[1,4,6,8] x) => (float[1,4,6,8] y)
        <float[8] c = {{1, 2, 3, 4, 5, 6, 7, 8}}, float half = {{0.5}}> {{
            t = Tanh(x)
            sum = Add({operands})
            y = Mul(sum, half)
        }}""").SerializeToString()


x = np.random.default_rng(0).standard_normal((1, 4, 6, 8)).astype(np.float32)
truth = on_cpu(scaled_sum("t, c"), {"x": x})
behind, front = (on_npu(scaled_sum(operands), {"x": x}) for operands in ("t, c", "c, t"))
first_only = (np.tanh(x) + 1) * 0.5
print(f"Add(t, c): {sqnr(truth, behind):.1f} dB")
print(f"  from what c[0] alone would give: {sqnr(first_only, behind):.1f} dB")
print(f"Add(c, t): {sqnr(truth, front):.1f} dB")
conclude(sqnr(truth, behind) < 20 and sqnr(first_only, behind) > 50 and sqnr(truth, front) > 50)
EOF
