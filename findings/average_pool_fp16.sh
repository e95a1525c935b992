#!/usr/bin/env bash
# In fp16 AveragePool is wrong with strides of 4 and padding, and of 9 taps
#
# Parts of the output are not written, or divided by a wrong count: of padded windows with strides of
# 4, of windows of 9 x 9 with padding or strides, and of windows of 2 x 2 over a map of 15 x 9. The
# same means as a depthwise Conv are right, and 3 x 3 with the usual strides is right either way.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (as described on v75 and v81 too: SOC_MODEL=57 and 72):
#   5 x 5 over 24 x 24, stride 4, pads 2, 64 channels: pool -2.4 dB, Conv 69.0 dB
#   9 x 9 over 24 x 24, stride 1, pads 4, 64 channels: pool 0.8 dB, Conv 70.1 dB
#   9 x 9 over 32 x 32, stride 9, pads 0, 64 channels: pool 6.3 dB, Conv 70.1 dB
#   2 x 2 over 15 x 9, stride 1, pads 0, 8 channels: pool 2.8 dB, Conv 70.1 dB
#   3 x 3 over 24 x 24, stride 1, pads 1, 64 channels: pool 68.3 dB, Conv 68.3 dB
#   5 x 5 over 24 x 24, stride 2, pads 2, 64 channels: pool 69.0 dB, Conv 69.0 dB
#   8 x 8 over 32 x 32, stride 8, pads 0, 64 channels: pool 67.7 dB, Conv 70.7 dB
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


def level(form, shape, taps, stride, pad):
    """Signal to noise of the means over windows of a map, as a pool or as a Conv."""
    channels, *sizes = shape
    rows, columns = ((size + 2 * pad - taps) // stride + 1 for size in sizes)
    around = f"strides = [{stride}, {stride}], pads = [{pad}, {pad}, {pad}, {pad}]"
    pool = f"AveragePool <kernel_shape = [{taps}, {taps}], count_include_pad = 1, {around}> (x)"
    conv = f"Conv <group = {channels}, {around}> (x, w)"
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        means (float[1,{channels},{sizes[0]},{sizes[1]}] x)
            => (float[1,{channels},{rows},{columns}] y) {{ y = {pool if form == "pool" else conv} }}""")
    if form == "conv":
        weight = np.full((channels, 1, taps, taps), 1 / taps**2, np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    x = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    return sqnr(*(run(model.SerializeToString(), {"x": x}) for run in (on_cpu, on_npu)))


same = True
for wrong, shape, taps, stride, pad in (
    (True, (64, 24, 24), 5, 4, 2),
    (True, (64, 24, 24), 9, 1, 4),
    (True, (64, 32, 32), 9, 9, 0),
    (True, (8, 15, 9), 2, 1, 0),
    (False, (64, 24, 24), 3, 1, 1),
    (False, (64, 24, 24), 5, 2, 2),
    (False, (64, 32, 32), 8, 8, 0),
):
    pool, conv = (level(form, shape, taps, stride, pad) for form in ("pool", "conv"))
    where = f"{taps} x {taps} over {shape[1]} x {shape[2]}, stride {stride}, pads {pad}"
    print(f"{where}, {shape[0]} channels: pool {pool:.1f} dB, Conv {conv:.1f} dB")
    same = same and conv > 50 and (pool < 15 if wrong else pool > 50)
conclude(same)
EOF
