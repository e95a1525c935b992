#!/usr/bin/env bash
# In fp16 a MatMul between two Reshapes that part its rows alike is not compiled
#
# `x [1, 24, 4, 16]`, Reshape to [24, 64], MatMul with [64, 64], Reshape to [1, 24, 4, 16]: the graph
# is accepted node by node, and ends in "Failed to finalize QNN graph. Error:
# QNN_COMMON_ERROR_MEM_ALLOC", though all of it is 17 kB. So does Gemm with `transB = 1`. With
# `transB = 0`, with a Relu between, or with [1, 24, 8, 8] behind it compiles and is right.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (the same on v81: SOC_MODEL=69):
#   MatMul: QNN_COMMON_ERROR_MEM_ALLOC
#   Gemm with transB = 1: QNN_COMMON_ERROR_MEM_ALLOC
#   Gemm with transB = 0: 69.2 dB
#   MatMul, then Relu: 69.1 dB
#   MatMul, then 8 parts of 8: 69.2 dB
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
ort.set_default_logger_severity(4)
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


def sqnr(truth, found):
    """Signal-to-quantization-noise ratio in dB; 200 where nothing differs."""
    noise = np.square(truth - found).sum()
    return 10 * np.log10(np.square(truth).sum() / noise) if noise else 200.0


rng = np.random.default_rng(0)
WEIGHT = rng.standard_normal((64, 64)).astype(np.float32)
FEEDS = {"x": rng.standard_normal((1, 24, 4, 16)).astype(np.float32)}


def between(layer, parts):
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        between (float[1,24,4,16] x) => (float[1,24,{parts},{64 // parts}] y)
        <int64[2] rows = {{24, 64}}, int64[4] split = {{1, 24, {parts}, {64 // parts}}}> {{
            flat = Reshape(x, rows)
            {layer}
            y = Reshape(t, split)
        }}""")
    model.graph.initializer.append(onnx.numpy_helper.from_array(WEIGHT, "w"))
    return model.SerializeToString()


def tried(layer, parts=4):
    """SQNR in dB of the NPU against the CPU; the name of the error where it does not compile."""
    model = between(layer, parts)
    try:
        found = on_npu(model, FEEDS)
    except Exception as error:
        names = [word for word in str(error).replace(":", " ").split() if word.startswith("QNN_")]
        return names[0] if names else str(error)
    return sqnr(on_cpu(model, FEEDS), found)


same = True
for name, refused, layer, parts in (
    ("MatMul", True, "t = MatMul(flat, w)", 4),
    ("Gemm with transB = 1", True, "t = Gemm <transB = 1> (flat, w)", 4),
    ("Gemm with transB = 0", False, "t = Gemm(flat, w)", 4),
    ("MatMul, then Relu", False, "m = MatMul(flat, w) t = Relu(m)", 4),
    ("MatMul, then 8 parts of 8", False, "t = MatMul(flat, w)", 8),
):
    found = tried(layer, parts)
    print(f"{name}: {found if isinstance(found, str) else f'{found:.1f} dB'}")
    as_seen = found == "QNN_COMMON_ERROR_MEM_ALLOC" if refused else found > 50
    same = same and as_seen
print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
sys.exit(0 if same else 1)
EOF
