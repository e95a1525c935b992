#!/usr/bin/env bash
# In fp16, Exp of -89 is -131,008 and Exp of -1000 is 131,008 instead of 0
#
# Masks of -100 or -1000 are common in attention. A Softmax written out with Exp, ReduceSum and Div
# is garbage behind such a mask; the operator Softmax is right.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (the same on v75, v79 and v81: SOC_MODEL=57, 69 and 72):
#   Exp(-1) = 0.3679; on the CPU 0.3679
#   Exp(-88) = 0; on the CPU 6.055e-39
#   Exp(-89) = -1.31e+05; on the CPU 2.227e-39
#   Exp(-1000) = 1.31e+05; on the CPU 0
#   Softmax by hand behind a mask of -100: 0.0 dB; the operator: 59.0 dB
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


def model(body):
    return onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        exponentials (float[4,16] x) => (float[4,16] y) <int64[1] last = {{1}}> {{
            {body}
        }}""").SerializeToString()


exp = model("y = Exp(x)")
by_hand = model("e = Exp(x) s = ReduceSum(e, last) y = Div(e, s)")
softmax = model("y = Softmax(x)")
values = {
    power: float(on_npu(exp, {"x": np.full((4, 16), power, np.float32)})[0, 0])
    for power in (-1, -88, -89, -1000)
}
for power, value in values.items():
    print(f"Exp({power}) = {value:.4g}; on the CPU {np.exp(power):.4g}")
x = np.random.default_rng(0).standard_normal((4, 16)).astype(np.float32)
x[:, 8:] -= 100  # masked
truth = on_cpu(softmax, {"x": x})
hand, whole = (sqnr(truth, on_npu(data, {"x": x})) for data in (by_hand, softmax))
print(f"Softmax by hand behind a mask of -100: {hand:.1f} dB; the operator: {whole:.1f} dB")
right = abs(values[-1] - np.exp(-1)) < 1e-3 and abs(values[-88]) < 1e-3
conclude(right and values[-89] < -1e5 and values[-1000] > 1e5 and hand < 10 and whole > 50)
EOF
