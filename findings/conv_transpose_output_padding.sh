#!/usr/bin/env bash
# A depthwise ConvTranspose with output_padding is wrong; a dense one is right
#
# The layer is the usual learned upsampling: 3 x 3, stride 2, one kernel a channel. The same layer
# without output_padding is right, and so is one with all channels connected. Shown in fp16; at 8
# and 16 bits it is the same.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (the same on v75, v79 and v81: SOC_MODEL=57, 69 and 72):
#   16 groups, output_padding 0: 68.9 dB
#   16 groups, output_padding 1: -2.6 dB
#    1 groups, output_padding 0: 68.7 dB
#    1 groups, output_padding 1: 68.7 dB
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


def upsample(groups, extra):
    """ConvTranspose of 16 channels from 12 x 12 to (23 + extra) x (23 + extra)."""
    size = 23 + extra
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        upsample (float[1,16,12,12] x) => (float[1,16,{size},{size}] y) {{
            y = ConvTranspose <strides = [2, 2], pads = [1, 1, 1, 1], group = {groups},
                output_padding = [{extra}, {extra}]> (x, w)
        }}""")
    weights = np.random.default_rng(1).standard_normal((16, 16 // groups, 3, 3)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    return model.SerializeToString()


x = np.random.default_rng(0).standard_normal((1, 16, 12, 12)).astype(np.float32)
found = {}
for groups in (16, 1):
    for extra in (0, 1):
        model = upsample(groups, extra)
        found[groups, extra] = sqnr(on_cpu(model, {"x": x}), on_npu(model, {"x": x}))
        print(f"{groups:2} groups, output_padding {extra}: {found[groups, extra]:.1f} dB")
conclude(found.pop((16, 1)) < 10 and min(found.values()) > 50)
EOF
