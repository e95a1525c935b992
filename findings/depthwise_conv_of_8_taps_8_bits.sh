#!/usr/bin/env bash
# At 8 bits a depthwise Conv of 8 taps and more with stride 2 is wrong over 1 to 4 channels
#
# So it is over 33 to 36, 65 to 68, ... channels; a Conv of one channel to one is such a layer. Of 5
# and of 32 channels, of 7 taps, and without strides all is right.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (as described on v75 and v81 too: SOC_MODEL=57 and 72):
#   1 channels, 9 taps: -11.4 dB
#   3 channels, 8 taps: -9.7 dB
#   33 channels, 9 taps: 1.6 dB
#   36 channels, 11 taps: -2.8 dB
#   5 channels, 9 taps: 44.8 dB
#   32 channels, 9 taps: 44.7 dB
#   33 channels, 7 taps: 49.7 dB
#   33 channels, 9 taps, 1 stride: 45.0 dB
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


def level(channels, taps, stride=2):
    """Signal to noise of the codes of a depthwise Conv of 40 x 40 places."""
    kind, codes = "uint8", 256
    size = (40 - taps) // stride + 1
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        strided ({kind}[1,{channels},40,40] x) => ({kind}[1,{channels},{size},{size}] y)
        <float s = {{{8 / codes}}}, float sw = {{{0.1 / taps}}}, {kind} m = {{{codes // 2}}},
         int8 n = {{0}}> {{
            xf = DequantizeLinear(x, s, m) wf = DequantizeLinear(w, sw, n)
            c = Conv <strides = [{stride}, {stride}], group = {channels}> (xf, wf)
            y = QuantizeLinear(c, s, m) }}""")
    generator = np.random.default_rng(0)
    weight = generator.integers(-20, 21, (channels, 1, taps, taps)).astype(np.int8)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    low, high = int(0.35 * codes), int(0.65 * codes)
    x = generator.integers(low, high, (1, channels, 40, 40)).astype(kind)
    truth, found = (
        run(model.SerializeToString(), {"x": x}).astype(float) - codes // 2 for run in (on_cpu, on_npu)
    )
    return sqnr(truth, found)


same = True
for wrong, options in (
    (True, {"channels": 1, "taps": 9}),
    (True, {"channels": 3, "taps": 8}),
    (True, {"channels": 33, "taps": 9}),
    (True, {"channels": 36, "taps": 11}),
    (False, {"channels": 5, "taps": 9}),
    (False, {"channels": 32, "taps": 9}),
    (False, {"channels": 33, "taps": 7}),
    (False, {"channels": 33, "taps": 9, "stride": 1}),
):
    db = level(**options)
    print(", ".join(f"{value} {name}" for name, value in options.items()) + f": {db:.1f} dB")
    same = same and (db < 15 if wrong else db > 22)
conclude(same)
EOF
