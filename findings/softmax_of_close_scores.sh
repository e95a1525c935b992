#!/usr/bin/env bash
# At 16 bits, Softmax of scores in steps below ln 2 / 2^18 takes many times as long
#
# The graph is one Softmax over 4 x 256 rows of 256 in plain Q/DQ form with uint16 in and out, the
# output in the encoding that it asks for (scale 1 / 65536). Only the scale of its input differs.
# Scores that lie within 0.17 have such steps; what calibration finds of attention with small
# weights is often less.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen on SoC 77 (v73):
#   steps of 0.5 x ln 2 / 2^18: 333 us estimated
#   steps of 0.99 x ln 2 / 2^18: 333 us estimated
#   steps of 1.01 x ln 2 / 2^18: 34 us estimated
#   steps of 100 x ln 2 / 2^18: 34 us estimated
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


def scores(scale):
    return onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        scores (uint16[1,4,256,256] x) => (uint16[1,4,256,256] y)
        <float sx = {{{scale:.12f}}}, uint16 zx = {{32768}},
         float sy = {{0.0000152587890625}}, uint16 zy = {{0}}> {{
            xf = DequantizeLinear(x, sx, zx)
            shares = Softmax <axis = -1> (xf)
            y = QuantizeLinear(shares, sy, zy)
        }}""").SerializeToString()


STEP = np.log(2) / 2**18
us = {times: estimate(scores(times * STEP)) for times in (0.5, 0.99, 1.01, 100)}
for times, time in us.items():
    print(f"steps of {times:g} x ln 2 / 2^18: {time:,} us estimated")
conclude(us[0.99] > 3 * us[1.01] and us[0.5] < 1.2 * us[0.99] and us[100] < 1.2 * us[1.01])
EOF
