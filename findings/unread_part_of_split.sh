#!/usr/bin/env bash
# A quantized Split of which one part is read by nothing takes five times as long
#
# A tensor of 16 bits is split in three parts along its last axis, as queries, keys and values are,
# and two of them are read; each by a Sigmoid. An optimizer that drops what nothing reads leaves no
# QuantizeLinear behind the third. With that part quantized too, or with two Slices in place of the
# Split, the graph computes the same. By Qualcomm's Performance Estimate. QCS6490 (SOC_MODEL=93),
# which has no float, takes the other two forms and refuses this one: "Failed to add node".
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen on SoC 77 (v73):
#   Split, one part unread: 248 us estimated
#   Split, that part quantized: 47 us estimated
#   two Slices: 27 us estimated
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


SPLIT = "a, b, unread = Split <axis = 2> (r, sizes)"
FORMS = {
    "Split, one part unread": SPLIT,
    "Split, that part quantized": f"{SPLIT} third = QuantizeLinear(unread, s, z)",
    "two Slices": "a = Slice(r, b0, b1, axis) b = Slice(r, b1, b2, axis)",
}


def parts(form):
    unread = ", uint16[1,196,256] third" if "third" in FORMS[form] else ""
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        parts (uint16[1,196,768] x) => (uint16[1,196,256] y, uint16[1,196,256] z2{unread})
        <float s = {{0.0001}}, uint16 z = {{32768}}, float u = {{0.0000153}}, uint16 zero = {{0}},
         int64[3] sizes = {{256, 256, 256}}, int64[1] b0 = {{0}}, int64[1] b1 = {{256}},
         int64[1] b2 = {{512}}, int64[1] axis = {{2}}> {{
            xf = DequantizeLinear(x, s, z) n = Neg(xf) nq = QuantizeLinear(n, s, z)
            r = DequantizeLinear(nq, s, z) {FORMS[form]}
            aq = QuantizeLinear(a, s, z) af = DequantizeLinear(aq, s, z)
            bq = QuantizeLinear(b, s, z) bf = DequantizeLinear(bq, s, z)
            c = Sigmoid(af) d = Sigmoid(bf)
            y = QuantizeLinear(c, u, zero) z2 = QuantizeLinear(d, u, zero)
        }}""")
    return model.SerializeToString()


us = {form: estimate(parts(form)) for form in FORMS}
for form, time in us.items():
    print(f"{form}: {time:,} us estimated")
unread, quantized, slices = us.values()
conclude(unread > 1.5 * quantized and unread > 1.5 * slices)
EOF
