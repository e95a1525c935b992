#!/usr/bin/env bash
# At 8 bits, RMSNormalization of 16 values over two dimensions of rows is wrong
#
# 64 rows as [64, 16] are right, the same as [16, 4, 16] are not. Queries and keys that are
# normalized head by head (as in Qwen3) have this form. LayerNormalization is right in both.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (the same on v75, v79 and v81: SOC_MODEL=57, 69 and 72):
#   RMSNormalization of [64, 16]: 37.4 dB
#   RMSNormalization of [16, 4, 16]: -4.3 dB
#   LayerNormalization of [64, 16]: 42.6 dB
#   LayerNormalization of [16, 4, 16]: 42.6 dB
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


def level(rows, operator):
    """SQNR of a normalization of the last 16 elements of `[*rows, 16]`."""
    shape = ",".join(map(str, (*rows, 16)))
    bias, bias_in = (
        ("bf = DequantizeLinear(b, sb, zb)", ", bf")
        if operator == "LayerNormalization"
        else ("", "")
    )
    model = onnx.parser.parse_model(f"""
        <ir_version: 11, opset_import: ["": 23]>
        norm (uint8[{shape}] x) => (uint8[{shape}] y)
        <float s = {{0.02}}, uint8 z = {{128}}, float sw = {{{1 / 255}}}, uint8 zw = {{0}},
         float sb = {{{0.02 / 255}}}, int32 zb = {{0}}> {{
            xf = DequantizeLinear(x, s, z)
            wf = DequantizeLinear(w, sw, zw)
            {bias}
            n = {operator} <axis = -1> (xf, wf{bias_in})
            y = QuantizeLinear(n, s, z)
        }}""")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full(16, 255, np.uint8), "w"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(16, np.int32), "b"))
    x = np.random.default_rng(0).integers(0, 256, (*rows, 16)).astype(np.uint8)
    truth, found = (
        run(model.SerializeToString(), {"x": x}).astype(float) - 128 for run in (on_cpu, on_npu)
    )
    return sqnr(truth, found)


found = {
    (rows, operator): level(rows, operator)
    for operator in ("RMSNormalization", "LayerNormalization")
    for rows in ((64,), (16, 4))
}
for (rows, operator), db in found.items():
    print(f"{operator} of {[*rows, 16]}: {db:.1f} dB")
conclude(found.pop(((16, 4), "RMSNormalization")) < 15 and min(found.values()) > 30)
EOF
