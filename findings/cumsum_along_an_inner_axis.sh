#!/usr/bin/env bash
# At 8 bits, CumSum along any axis but the last is wrong
#
# CumSum in Q/DQ form over [1, 8, 8, 8]. Along the last axis it is right, so that a Transpose in
# front and one behind is a way round.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (the same on v75, v79 and v81: SOC_MODEL=57, 69 and 72):
#   axis 1 of 4: -8.2 dB
#   axis 2 of 4: -7.1 dB
#   axis 3 of 4: 33.1 dB
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


def running_sum(axis):
    return onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        running_sum (uint8[1,8,8,8] x) => (uint8[1,8,8,8] y)
        <float s = {{0.02}}, uint8 z = {{128}}, float so = {{0.1}}, int64 axis = {{{axis}}}> {{
            xf = DequantizeLinear(x, s, z)
            sum = CumSum(xf, axis)
            y = QuantizeLinear(sum, so, z)
        }}""").SerializeToString()


x = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 8)).astype(np.uint8)
found = {}
for axis in (1, 2, 3):
    truth, values = (
        run(running_sum(axis), {"x": x}).astype(float) - 128 for run in (on_cpu, on_npu)
    )
    found[axis] = sqnr(truth, values)
    print(f"axis {axis} of 4: {found[axis]:.1f} dB")
conclude(found[1] < 10 and found[2] < 10 and found[3] > 30)
EOF
