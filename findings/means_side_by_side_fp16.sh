#!/usr/bin/env bash
# In fp16 means over windows side by side take up to 200 times as long as the same as a Conv
#
# An AveragePool of 3 x 3 with strides of 3, or of 5 x 5 with strides of 5, as adaptive pools are
# exported. Windows of 2 x 2 and 4 x 4 take as long as a Conv or less. At 8 bits all are quick.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen on SA8797P (v81, SOC_MODEL=72; in us):
#   3 x 3 over 256 maps of 60 x 60: pool 19057, Conv 149
#   3 x 3 over 64 maps of 24 x 24: pool 5069, Conv 18
#   5 x 5 over 64 maps of 20 x 20: pool 3531, products 43
#   2 x 2 over 64 maps of 28 x 28: pool 27, Conv 26
#   4 x 4 over 64 maps of 28 x 28: pool 24, products 42
# Seen on QCS9075 (v73, SOC_MODEL=77):
#   3 x 3 over 256 maps of 60 x 60: pool 63709, Conv 317
#   3 x 3 over 64 maps of 24 x 24: pool 41, Conv 44
#   5 x 5 over 64 maps of 20 x 20: pool 36, products 63
#   2 x 2 over 64 maps of 28 x 28: pool 47, Conv 46
#   4 x 4 over 64 maps of 28 x 28: pool 52, products 79
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


def means(form, channels, taps, count):
    """Means over windows of a map between two layers of one tap, as a pool or otherwise."""
    size = taps * count
    forms = {
        "pool": f"m = AveragePool <kernel_shape = [{taps}, {taps}], strides = [{taps}, {taps}]> (r)",
        "Conv": f"m = Conv <strides = [{taps}, {taps}], group = {channels}> (r, k)",
        "products": "p = MatMul(r, k) t = Transpose <perm = [0, 1, 3, 2]> (p) "
        "q = MatMul(t, k) m = Transpose <perm = [0, 1, 3, 2]> (q)",
    }
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        means (float[1,{channels},{size},{size}] x) => (float[1,{channels},{count},{count}] y) {{
            c = Conv(x, w) r = Relu(c) {forms[form]} y = Conv(m, w) }}""")
    generator = np.random.default_rng(0)
    weight = generator.normal(size=(channels, channels, 1, 1)).astype(np.float32) / 8
    add = model.graph.initializer.append
    add(onnx.numpy_helper.from_array(weight, "w"))
    if form == "Conv":
        kernel = np.full((channels, 1, taps, taps), 1 / taps**2, np.float32)
        add(onnx.numpy_helper.from_array(kernel, "k"))
    if form == "products":
        rows = np.kron(np.eye(count), np.full((taps, 1), 1 / taps)).astype(np.float32)
        add(onnx.numpy_helper.from_array(rows, "k"))
    return model.SerializeToString()


same = True
for slow, forms, channels, taps, count in (
    (True, ("pool", "Conv"), 256, 3, 20),
    (SOC == "72", ("pool", "Conv"), 64, 3, 8),
    (SOC == "72", ("pool", "products"), 64, 5, 4),
    (False, ("pool", "Conv"), 64, 2, 14),
    (False, ("pool", "products"), 64, 4, 7),
):
    pool, other = (estimate(means(form, channels, taps, count)) for form in forms)
    size = taps * count
    print(f"{taps} x {taps} over {channels} maps of {size} x {size}: pool {pool}, {forms[1]} {other}")
    same = same and (pool > 20 * other if slow else pool < 2 * other)
conclude(same)
EOF
