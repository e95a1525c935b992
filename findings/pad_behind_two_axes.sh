#!/usr/bin/env bash
# A Pad behind the last axis and another one, with nothing in front, puts in wrong values
#
# The values must come from a node before it (here Neg). A Pad behind one axis alone, or with
# anything in front, is right. TensorFlow's "same" padding at stride 2 has this form.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (the same on v75, v79 and v81: SOC_MODEL=57, 69 and 72):
#   0 in front, 1 rows and 2 columns behind: 3.0 dB
#     wrong columns: [11, 12] of 13
#   0 in front, 0 rows and 2 columns behind: 200.0 dB
#     wrong columns: [] of 13
#   1 in front, 1 rows and 2 columns behind: 200.0 dB
#     wrong columns: [] of 14
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


def padded(front, rows, columns):
    """Neg, Pad of the last two axes and Neg over `[1, 3, 10, 11]`."""
    return onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        padded (uint8[1,3,10,11] x) => (uint8[1,3,{10 + front + rows},{11 + front + columns}] y)
        <float s = {{0.02}}, uint8 z = {{128}},
         int64[8] pads = {{0, 0, {front}, {front}, 0, 0, {rows}, {columns}}}> {{
            xf = DequantizeLinear(x, s, z)
            a = Neg(xf)
            aq = QuantizeLinear(a, s, z)
            af = DequantizeLinear(aq, s, z)
            b = Pad(af, pads)
            bq = QuantizeLinear(b, s, z)
            bf = DequantizeLinear(bq, s, z)
            c = Neg(bf)
            y = QuantizeLinear(c, s, z)
        }}""").SerializeToString()


x = np.random.default_rng(0).integers(0, 256, (1, 3, 10, 11)).astype(np.uint8)
found = {}
for case in ((0, 1, 2), (0, 0, 2), (1, 1, 2)):
    truth, values = (run(padded(*case), {"x": x}).astype(float) - 128 for run in (on_cpu, on_npu))
    columns = sorted(set(np.nonzero(truth != values)[3].tolist()))
    found[case] = sqnr(truth, values)
    print(f"{case[0]} in front, {case[1]} rows and {case[2]} columns behind: {found[case]:.1f} dB")
    print(f"  wrong columns: {columns} of {truth.shape[3]}")
conclude(found[0, 1, 2] < 20 and found[0, 0, 2] > 40 and found[1, 1, 2] > 40)
EOF
