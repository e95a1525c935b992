#!/usr/bin/env bash
# In fp16 the operator Swish takes longer than Sigmoid and Mul where a Split or a mean reads it
#
# ONNX has Swish from opset 24 on. With a Conv behind, operator and parts take the same time; in
# blocks as YOLO (halves) and EfficientNet (a mean) have them the whole network of a Conv, a SiLU
# and the block takes 1.5 to 1.8 times as long, by Qualcomm's Performance Estimate.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen on SoC 77 (v73):
#   halves (CSP): Swish 395 us, Sigmoid and Mul 220 us estimated
#   a mean (squeeze and excitation): Swish 337 us, Sigmoid and Mul 220 us estimated
#   a Conv: Swish 203 us, Sigmoid and Mul 203 us estimated
# On SoC 72 (v81) 250 and 118, 318 and 126, 117 and 117.
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


def silu(form):
    if form == "Swish":
        return [onnx.helper.make_node("Swish", ["c"], ["s"])]
    gate = onnx.helper.make_node("Sigmoid", ["c"], ["g"])
    return [gate, onnx.helper.make_node("Mul", ["c", "g"], ["s"])]


def block(reader):
    """What reads the SiLU `s` and gives `y`."""
    node = onnx.helper.make_node
    return {
        "halves (CSP)": [
            node("Split", ["s"], ["a", "b"], axis=1, num_outputs=2),
            node("Conv", ["b", "half"], ["d"]),
            node("Concat", ["a", "d"], ["e"], axis=1),
            node("Conv", ["e", "w"], ["y"]),
        ],
        "a mean (squeeze and excitation)": [
            node("ReduceMean", ["s", "axes"], ["m"]),
            node("Conv", ["m", "w"], ["q"]),
            node("Sigmoid", ["q"], ["r"]),
            node("Mul", ["s", "r"], ["t"]),
            node("Conv", ["t", "w"], ["y"]),
        ],
        "a Conv": [node("Conv", ["s", "w"], ["y"])],
    }[reader]


def network(form, reader):
    rng = np.random.default_rng(0)
    value = onnx.helper.make_tensor_value_info
    constants = {
        "w": rng.normal(0, 0.1, (96, 96, 1, 1)).astype(np.float32),
        "half": rng.normal(0, 0.1, (48, 48, 1, 1)).astype(np.float32),
        "axes": np.array([2, 3]),
    }
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Conv", ["x", "w"], ["c"]), *silu(form), *block(reader)],
        "silu",
        [value("x", onnx.TensorProto.FLOAT, [1, 96, 56, 56])],
        [value("y", onnx.TensorProto.FLOAT, [1, 96, 56, 56])],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opset = onnx.helper.make_opsetid("", 24)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=11).SerializeToString()


ratio = {}
for reader in ("halves (CSP)", "a mean (squeeze and excitation)", "a Conv"):
    us = {form: estimate(network(form, reader)) for form in ("Swish", "Sigmoid and Mul")}
    ratio[reader] = us["Swish"] / us["Sigmoid and Mul"]
    print(f"{reader}: Swish {us['Swish']} us, Sigmoid and Mul {us['Sigmoid and Mul']} us estimated")
halves, mean, conv = ratio.values()
conclude(halves > 1.4 and mean > 1.3 and 0.98 < conv < 1.02)
EOF
