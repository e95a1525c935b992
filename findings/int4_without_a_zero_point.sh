#!/usr/bin/env bash
# int4 weights whose DequantizeLinear has no zero point cost as much as int8
#
# A MatMul of 1536 x 1536 with uint16 activations and a scale for each column, by Qualcomm's
# Performance Estimate. The zero point is optional in ONNX and means 0; written out, it halves the
# time, which for one row is that of reading the weights.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen on SoC 77 (v73):
#   int8: 54 us estimated; int4 without a zero point: 54; with one: 28
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


SIZE = 1536


def product(kind, with_zero_point):
    zero = ", wz" if with_zero_point else ""
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        product (uint16[1,{SIZE}] x) => (uint16[1,{SIZE}] y)
        <float s = {{0.001}}, uint16 z = {{32768}}, float so = {{0.01}}> {{
            xf = DequantizeLinear(x, s, z)
            wf = DequantizeLinear <axis = 1> (w, ws{zero})
            p = MatMul(xf, wf)
            y = QuantizeLinear(p, so, z)
        }}""")
    weights = np.random.default_rng(0).integers(-7, 8, (SIZE, SIZE))
    tensors = [onnx.helper.make_tensor("w", kind, weights.shape, weights.ravel())]
    if with_zero_point:
        tensors.append(onnx.helper.make_tensor("wz", kind, [SIZE], np.zeros(SIZE, int)))
    tensors.append(onnx.numpy_helper.from_array(np.full(SIZE, 0.01, np.float32), "ws"))
    model.graph.initializer.extend(tensors)
    return model.SerializeToString()


eight = estimate(product(onnx.TensorProto.INT8, True))
bare, explicit = (estimate(product(onnx.TensorProto.INT4, given)) for given in (False, True))
print(f"int8: {eight} us estimated; int4 without a zero point: {bare}; with one: {explicit}")
conclude(bare > 0.9 * eight and explicit < 0.7 * eight)
EOF
