#!/usr/bin/env bash
# TopK takes the last of equal elements, where ONNX takes the first
#
# ONNX: "Given two equivalent values, this operator uses the indices along the axis as a tiebreaker.
# That is, the element with the lower index will appear first." ArgMax of the same row is right.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen on SoC 77 (v73); indices of the largest of 3 1 7 7 0 7 2 7:
#   ONNX Runtime's CPU provider: TopK 2, ArgMax 2
#   on the NPU: TopK 7, ArgMax 2
#   best three by TopK: 2 3 5, on the NPU 7 5 3
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


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


VALUES = np.array([[3, 1, 7, 7, 0, 7, 2, 7]], np.float32)


def indices(body, count):
    return onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        indices (float[1,8] x) => (int32[1,{count}] y) <int64[1] k = {{{count}}}> {{
            {body} y = Cast <to = 6> (i)
        }}""").SerializeToString()


by_topk = indices("v, i = TopK(x, k)", 1)
by_argmax = indices("i = ArgMax <axis = 1, keepdims = 1> (x)", 1)
best_three = indices("v, i = TopK(x, k)", 3)
cpu, npu = (
    [run(model, {"x": VALUES})[0].tolist() for model in (by_topk, by_argmax, best_three)]
    for run in (on_cpu, on_npu)
)
print(f"ONNX Runtime's CPU provider: TopK {cpu[0][0]}, ArgMax {cpu[1][0]}")
print(f"on the NPU: TopK {npu[0][0]}, ArgMax {npu[1][0]}")
print("best three by TopK:", *cpu[2], "on the NPU", *npu[2])
conclude(cpu == [[2], [2], [2, 3, 5]] and npu[:2] == [[7], [2]] and npu[2] != cpu[2])
EOF
