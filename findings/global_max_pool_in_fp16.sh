#!/usr/bin/env bash
# In fp16, GlobalMaxPool takes hundreds of times as long as the same ReduceMax
#
# 64 channels of 12 x 48, by Qualcomm's Performance Estimate. The two operators mean the same.
# GlobalAveragePool has no such cost.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen on SoC 77 (v73):
#   GlobalMaxPool(x): 4,100 us estimated
#   ReduceMax(x, axes): 9 us estimated
#   GlobalAveragePool(x): 25 us estimated
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


def pooled(expression):
    return onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        pooled (float[1,64,12,48] x) => (float[1,64,1,1] y) <int64[2] axes = {{2, 3}}> {{
            y = {expression}
        }}""").SerializeToString()


us = {
    name: estimate(pooled(name))
    for name in ("GlobalMaxPool(x)", "ReduceMax(x, axes)", "GlobalAveragePool(x)")
}
for name, time in us.items():
    print(f"{name}: {time:,} us estimated")
conclude(
    us["GlobalMaxPool(x)"] > 100 * us["ReduceMax(x, axes)"] and us["GlobalAveragePool(x)"] < 100
)
EOF
