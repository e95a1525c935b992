#!/usr/bin/env bash
# In fp16 a linear Resize of a volume along its depth is wrong
#
# `[1, 6, 4, 7, 12]` by 2 along all three axes has nothing of its values (-1 dB). By 1 along the
# depth it is right, also as two Resizes with Reshapes between, over the maps of each depth and over
# the depth, and at 8 and 16 bits.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (as described on v75, v79 and v81 too: SOC_MODEL=57, 69 and 72):
#   fp16, by 2, 2, 2: -1.0 dB
#   fp16, by 1, 2, 2: 70.7 dB
#   fp16, by 2, 1, 1: -0.9 dB
#   fp16, by 2, 2, 1: -1.0 dB
#   fp16, by 3, 3, 3: -0.8 dB
#   fp16, by 2, 2, 2 in two steps: 60.1 dB
#   8 bits, by 2, 2, 2: 32.6 dB
#   16 bits, by 2, 2, 2: 200.0 dB
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


def resized(depth, height, width, bits=0, maps=False):
    """A linear Resize of `[1, 6, 4, 7, 12]` on the CPU and on the NPU; not quantized where `bits`
    is 0. With `maps` the NPU has one over the maps of each depth, and one over the depth."""
    sizes = f"{4 * depth},{7 * height},{12 * width}"
    kind, zero = f"uint{bits}" if bits else "float", 2**bits // 2
    step = 4 / max(zero, 1)

    def written(steps):
        return onnx.parser.parse_model(f"""
            <ir_version: 10, opset_import: ["": 21]>
            resized ({kind}[1,6,4,7,12] x) => ({kind}[1,6,{sizes}] y)
            <float[5] scales = {{1.0, 1.0, {depth}.0, {height}.0, {width}.0}},
             float[4] of_maps = {{1.0, 1.0, {height}.0, {width}.0}},
             float[4] of_depth = {{1.0, 1.0, {depth}.0, 1.0}},
             int64[4] by_maps = {{1, 24, 7, 12}},
             int64[4] by_depth = {{1, 6, 4, {84 * height * width}}},
             int64[5] volume = {{1, 6, {sizes}}},
             float s = {{{step}}}, uint{bits or 8} z = {{{zero}}}> {{ {steps} }}
            """).SerializeToString()

    whole = 'y = Resize <mode = "linear"> (x, , scales)'
    parts = """a = Reshape(x, by_maps) b = Resize <mode = "linear"> (a, , of_maps)
               c = Reshape(b, by_depth) d = Resize <mode = "linear"> (c, , of_depth)
               y = Reshape(d, volume)"""
    if bits:
        whole = """xf = DequantizeLinear(x, s, z) r = Resize <mode = "linear"> (xf, , scales)
                   y = QuantizeLinear(r, s, z)"""
    x = np.random.default_rng(0).standard_normal((1, 6, 4, 7, 12)).astype(np.float32)
    if bits:
        x = np.clip(np.round(x / step) + zero, 0, 2 * zero - 1).astype(kind)
    truth, found = on_cpu(written(whole), {"x": x}), on_npu(written(parts if maps else whole), {"x": x})
    return [values.astype(float) - zero for values in (truth, found)]


same = True
for wrong, name, case in (
    (True, "fp16, by 2, 2, 2", (2, 2, 2)),
    (False, "fp16, by 1, 2, 2", (1, 2, 2)),
    (True, "fp16, by 2, 1, 1", (2, 1, 1)),
    (True, "fp16, by 2, 2, 1", (2, 2, 1)),
    (True, "fp16, by 3, 3, 3", (3, 3, 3)),
    (False, "fp16, by 2, 2, 2 in two steps", (2, 2, 2, 0, True)),
    (False, "8 bits, by 2, 2, 2", (2, 2, 2, 8)),
    (False, "16 bits, by 2, 2, 2", (2, 2, 2, 16)),
):
    found = sqnr(*resized(*case))
    print(f"{name}: {found:.1f} dB")
    same = same and (found < 5 if wrong else found > 30)
conclude(same)
EOF
