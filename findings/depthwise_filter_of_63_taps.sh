#!/usr/bin/env bash
# At 8 bits, a depthwise filter of 63 taps takes 2,500 times as long as one of 62
#
# 64 channels, 200 steps, uint8 activations, int8 weights, by Qualcomm's Performance Estimate. Up
# to 62 taps the length hardly matters. Filters over a single channel slow down likewise:
# of 48 taps 8 us, of 64 785, of 128 29,203.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen on SoC 77 (v73):
#   31 taps: 16 us estimated
#   62 taps: 11 us estimated
#   63 taps: 27,674 us estimated
#   64 taps: 28,133 us estimated
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 onnxruntime-qnn==2.7.0

"$work/venv/bin/python" - "$work" <<'EOF'
import csv
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
rows = 0


def estimate(model):
    """Qualcomm's Performance Estimate in us, written when the session is created; no run."""
    global rows
    rows += 1
    profile = f"{sys.argv[1]}/{rows}.csv"
    options = ort.SessionOptions()
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    devices = [device for device in ort.get_ep_devices() if device.ep_name == NPU][:1]
    settings = {
        "backend_path": qnn.get_qnn_htp_path(),
        "soc_model": SOC,
        "enable_htp_fp16_precision": "1",
        "htp_graph_finalization_optimization_mode": "3",
        "profiling_level": "basic",
        "profiling_file_path": profile,
    }
    options.add_provider_for_devices(devices, settings)
    ort.InferenceSession(model, options)
    with open(profile, encoding="utf-8") as lines:
        values = {
            row["Event Identifier"]: int(row["Time"])
            for row in csv.DictReader(lines)
            if row["Time"].isdigit()
        }
    missing = next(value for name, value in values.items() if name.startswith("Missing Ops"))
    assert missing == 0, f"{missing} operators have no cost: the estimate says nothing"
    return values["Simulated (Accelerator exec time us)"]


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def filtered(taps):
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        filtered (uint8[1,64,200] x) => (uint8[1,64,{201 - taps}] y)
        <float s = {{0.02}}, uint8 z = {{128}}, float sw = {{0.01}}, int8 zw = {{0}}> {{
            xf = DequantizeLinear(x, s, z)
            wf = DequantizeLinear(w, sw, zw)
            f = Conv <group = 64> (xf, wf)
            y = QuantizeLinear(f, s, z)
        }}""")
    weights = np.random.default_rng(0).integers(-127, 128, (64, 1, taps)).astype(np.int8)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    return model.SerializeToString()


us = {taps: estimate(filtered(taps)) for taps in (31, 62, 63, 64)}
for taps, time in us.items():
    print(f"{taps} taps: {time:,} us estimated")
conclude(max(us[31], us[62]) < 50 and min(us[63], us[64]) > 5000)
EOF
