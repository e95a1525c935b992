#!/usr/bin/env bash
# In fp16 a depthwise Conv of a single tap with strides, or of 3 x 3 with strides of 4, is wrong
#
# It picks every second or third place and multiplies it by a number of its channel. With 32
# channels, with strides of 2 and 2, or with a zero behind the tap (of strides of 4: up to 4 x 4
# taps), all is right.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (as described on v75, v79 and v81: SOC_MODEL=57, 69 and 72):
#   64 channels, taps [1, 1], strides [1, 2]: -7.9 dB
#   64 channels, taps [1, 1], strides [3, 3]: -13.8 dB
#   37 channels, taps [1, 1], strides [1, 2]: -7.0 dB
#   64 channels, taps [3, 3], strides [4, 4]: -29.4 dB
#   32 channels, taps [1, 1], strides [1, 2]: 68.0 dB
#   64 channels, taps [1, 1], strides [2, 2]: 68.8 dB
#   64 channels, taps [1, 2], strides [1, 2]: 68.6 dB
#   64 channels, taps [4, 4], strides [4, 4]: 68.8 dB
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


def sqnr(truth, found):
    """Signal-to-quantization-noise ratio in dB; 200 where nothing differs."""
    noise = np.square(truth - found).sum()
    return 10 * np.log10(np.square(truth).sum() / noise) if noise else 200.0


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def level(channels, taps, strides):
    """Signal to noise against the CPU of a depthwise Conv of 20 x 20 places."""
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        pick (float[1,{channels},20,20] x) => (float[1,{channels},H,W] y) {{
            t = Tanh(x)
            y = Conv <strides = {list(strides)}, group = {channels}> (t, w)
        }}""")
    generator = np.random.default_rng(0)
    weight = np.zeros((channels, 1, *taps), np.float32)
    weight[:, 0, 0, 0] = generator.normal(size=channels)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    rows, columns = ((20 - k) // s + 1 for k, s in zip(taps, strides))
    for dimension, size in zip(model.graph.output[0].type.tensor_type.shape.dim[2:], (rows, columns)):
        dimension.dim_value = size
    x = generator.normal(size=(1, channels, 20, 20)).astype(np.float32)
    db = sqnr(*(run(model.SerializeToString(), {"x": x}) for run in (on_cpu, on_npu)))
    print(f"{channels} channels, taps {list(taps)}, strides {list(strides)}: {db:.1f} dB")
    return db


wrong = [level(64, (1, 1), (1, 2)), level(64, (1, 1), (3, 3)), level(37, (1, 1), (1, 2))]
wrong.append(level(64, (3, 3), (4, 4)))
right = [level(32, (1, 1), (1, 2)), level(64, (1, 1), (2, 2)), level(64, (1, 2), (1, 2))]
right.append(level(64, (4, 4), (4, 4)))
conclude(max(wrong) < 15 and min(right) > 30)
EOF
