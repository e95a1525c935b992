#!/usr/bin/env bash
# A linear Resize by a scale that is not the ratio of the sizes is computed by the ratio
#
# Of 12 samples a scale of 1.7 makes 20 (ONNX rounds down), and samples lie 1/1.7 apart; the NPU
# places them 12/20 apart. Where scale and ratio agree, as for 1.5 and 2, it is right.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (the same on v75, v79 and v81: SOC_MODEL=57, 69 and 72):
#   scale 1.5: 70.8 dB; from the ratio 18/12: 70.8 dB
#   scale 1.7: 10.2 dB; from the ratio 20/12: 71.3 dB
#   scale 2.0: 59.9 dB; from the ratio 24/12: 59.9 dB
#   scale 2.3: 9.5 dB; from the ratio 27/12: 70.8 dB
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


def resized(argument, size):
    return onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        resized (float[1,4,12,12] x) => (float[1,4,{size},{size}] y) <{argument}> {{
            y = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel">
                ({"x, , scales" if "scales" in argument else "x, , , sizes"})
        }}""").SerializeToString()


x = np.random.default_rng(0).standard_normal((1, 4, 12, 12)).astype(np.float32)
found = {}
for scale in (1.5, 1.7, 2.0, 2.3):
    size = int(12 * scale)
    by_scale = resized(f"float[4] scales = {{1, 1, {scale}, {scale}}}", size)
    by_sizes = resized(f"int64[4] sizes = {{1, 4, {size}, {size}}}", size)
    values = on_npu(by_scale, {"x": x})
    found[scale] = (
        sqnr(on_cpu(by_scale, {"x": x}), values),
        sqnr(on_cpu(by_sizes, {"x": x}), values),
    )
    print(
        f"scale {scale}: {found[scale][0]:.1f} dB; from the ratio {size}/12: {found[scale][1]:.1f} dB"
    )
odd, even = (1.7, 2.3), (1.5, 2.0)
ratio = all(found[scale][1] > 50 for scale in found)
conclude(
    ratio
    and all(found[scale][0] < 30 for scale in odd)
    and all(found[scale][0] > 50 for scale in even)
)
EOF
