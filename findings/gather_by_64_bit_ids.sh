#!/usr/bin/env bash
# In fp16 rows are looked up by ids of 64 bits 56 times as slowly as by ids of 32
#
# A Gather of 128 from 30,522 rows of 384, the embeddings of a BERT, by Qualcomm's Performance
# Estimate. With ids that are fed as int32 the time does not depend on the table; with int64, or
# int32 that anything was computed with, it grows with it.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen on SoC 77 (v73):
#   int32 ids, 500 rows: 14 us estimated
#   int32 ids, 30,522 rows: 14 us estimated
#   int64 ids, 500 rows: 24 us estimated
#   int64 ids, 30,522 rows: 782 us estimated
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


def table(rows, ids):
    numbers = np.random.default_rng(0).standard_normal((rows, 384)).astype(np.float32)
    node = onnx.helper.make_node("Gather", ["table", "i"], ["y"])
    graph = onnx.helper.make_graph(
        [node],
        "rows",
        [onnx.helper.make_tensor_value_info("i", ids, [1, 128])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 128, 384])],
        [onnx.numpy_helper.from_array(numbers, "table")],
    )
    opset = onnx.helper.make_opsetid("", 21)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10).SerializeToString()


us = {}
for name, kind in (("int32", onnx.TensorProto.INT32), ("int64", onnx.TensorProto.INT64)):
    for rows_of_table in (500, 30522):
        us[name, rows_of_table] = estimate(table(rows_of_table, kind))
        print(f"{name} ids, {rows_of_table:,} rows: {us[name, rows_of_table]:,} us estimated")
conclude(us["int64", 30522] > 20 * us["int32", 30522] and us["int32", 30522] < 2 * us["int32", 500])
EOF
