#!/usr/bin/env bash
# At 16 bits, ReduceMean and GlobalAveragePool give 0 once the sum of the codes reaches 2^31
#
# Means of 256 x 256 elements whose codes are about 40,000: 2.6e9, which a signed 32-bit sum does
# not hold. With half the elements all is right. GlobalAveragePool with the zero point at 32,768 is
# right too, ReduceMean is not.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (the same on v75, v79 and v81: SOC_MODEL=57, 69 and 72):
#   ReduceMean of 256 x 128, zero 0: 39996, on the NPU 39996
#   ReduceMean of 256 x 256, zero 0: 39996, on the NPU 0
#   ReduceMean of 256 x 128, zero 32768: 39996, on the NPU 39996
#   ReduceMean of 256 x 256, zero 32768: 39996, on the NPU 0
#   GlobalAveragePool of 256 x 128, zero 0: 39996, on the NPU 39996
#   GlobalAveragePool of 256 x 256, zero 0: 39996, on the NPU 0
#   GlobalAveragePool of 256 x 128, zero 32768: 39996, on the NPU 39996
#   GlobalAveragePool of 256 x 256, zero 32768: 39996, on the NPU 39996
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


def mean(operator, zero, columns):
    """Codes of the mean of `[1, 4, 256, columns]` on the CPU and on the NPU."""
    axes = ", axes" if operator == "ReduceMean" else ""
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        mean (uint16[1,4,256,{columns}] x) => (uint16[1,4,1,1] y)
        <float s = {{0.0001}}, uint16 z = {{{zero}}}, int64[2] axes = {{2, 3}}> {{
            xf = DequantizeLinear(x, s, z)
            m = {operator}(xf{axes})
            y = QuantizeLinear(m, s, z)
        }}""").SerializeToString()
    x = np.random.default_rng(0).integers(38000, 42000, (1, 4, 256, columns)).astype(np.uint16)
    return [run(model, {"x": x}).ravel().astype(int) for run in (on_cpu, on_npu)]


same = True
for operator in ("ReduceMean", "GlobalAveragePool"):
    for zero in (0, 32768):
        for columns in (128, 256):
            truth, found = mean(operator, zero, columns)
            print(f"{operator} of 256 x {columns}, zero {zero}: {truth[0]}, on the NPU {found[0]}")
            lost = columns == 256 and (operator, zero) != ("GlobalAveragePool", 32768)
            same &= bool((found == 0).all() if lost else np.abs(truth - found).max() <= 2)
conclude(same)
EOF
