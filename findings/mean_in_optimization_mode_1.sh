#!/usr/bin/env bash
# In fp16 and optimization mode 1, the mean of a map of many channels takes over 100 ms
#
# ReduceMean over the places of 2,048 channels of 8 x 8, as classifiers end, behind a layer of one
# tap with ReLU, by Qualcomm's Performance Estimate. `htp_graph_finalization_optimization_mode` 1 is
# to prepare faster for a graph that is less good; of this mean it is thousands of times slower than
# mode 3 or none. AveragePool is the same. A map of 7 x 7 with 512 channels is not, nor is the mean
# as a product with a constant row, nor any of this on v81 (SOC_MODEL=72).
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen on SoC 77 (v73):
#   ReduceMean, 2,048 channels of 8 x 8, mode 1: 116,576 us estimated
#   AveragePool, 2,048 channels of 8 x 8, mode 1: 116,574 us estimated
#   ReduceMean, 1,024 channels of 4 x 4, mode 1: 39,029 us estimated
#   ReduceMean, 2,048 channels of 8 x 8, mode 3: 36 us estimated
#   ReduceMean, 2,048 channels of 8 x 8, no mode: 36 us estimated
#   ReduceMean, 512 channels of 7 x 7, mode 1: 14 us estimated
#   product, 2,048 channels of 8 x 8, mode 1: 69 us estimated
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


def estimate(model, mode):
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
        "profiling_level": "basic",
        "profiling_file_path": profile,
    }
    if mode != "default":
        settings["htp_graph_finalization_optimization_mode"] = mode
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


FORMS = {
    "ReduceMean": "m = ReduceMean <keepdims = 0> (f, axes) y = Identity(m)",
    "AveragePool": "m = AveragePool <kernel_shape = [{height}, {width}]> (f) y = Reshape(m, flat)",
    "product": """t = Transpose <perm = [0, 2, 3, 1]> (f) r = Reshape(t, rows)
        y = MatMul(row, r)""",
}


def network(form, channels, height, width):
    """A layer of one tap, ReLU, and the mean of each of its channels."""
    places = height * width
    share = ", ".join(["{:.9f}".format(1 / places)] * places)
    text = f"""
        <ir_version: 10, opset_import: ["": 21]>
        averaged (float[1,64,{height},{width}] x) => (float[1,{channels}] y)
        <int64[2] axes = {{2, 3}}, int64[2] flat = {{1, {channels}}},
         int64[2] rows = {{{places}, {channels}}}, float[1,{places}] row = {{{share}}}> {{
            c = Conv(x, w) f = Relu(c) {FORMS[form].format(height=height, width=width)}
        }}"""
    model = onnx.parser.parse_model(text)
    weight = np.random.default_rng(0).normal(0, 0.1, (channels, 64, 1, 1)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    return model.SerializeToString()


cases = [
    ("ReduceMean", 2048, 8, 8, "1"),
    ("AveragePool", 2048, 8, 8, "1"),
    ("ReduceMean", 1024, 4, 4, "1"),
    ("ReduceMean", 2048, 8, 8, "3"),
    ("ReduceMean", 2048, 8, 8, "default"),
    ("ReduceMean", 512, 7, 7, "1"),
    ("product", 2048, 8, 8, "1"),
]
us = {case: estimate(network(*case[:4]), case[4]) for case in cases}
for (form, channels, height, width, mode), time in us.items():
    where = "no mode" if mode == "default" else f"mode {mode}"
    print(f"{form}, {channels:,} channels of {height} x {width}, {where}: {time:,} us estimated")
mean, pool, smaller, *others = us.values()
conclude(min(mean, pool, smaller) > 100 * max(others))
EOF
