#!/usr/bin/env bash
# In fp16 a Conv of one channel to one is not computed with strides of 3 and more
#
# Such a layer resamples a signal, or thins a mask. Its output has nothing to do with its input, of
# up to 8 taps along each axis. With strides of 2, of 9 taps, or to two channels, all is right.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (the same on v75, v81 and v85: SOC_MODEL=57, 72 and 114):
#   1 channel to 1, 3 x 3 taps, stride 3: -83.7 dB
#   1 channel to 1, 5 x 5 taps, stride 4: -82.1 dB
#   1 channel to 1, 1 x 1 taps, stride 3: -83.7 dB
#   1 channel to 1, 8 x 8 taps, stride 8: -79.8 dB
#   1 channel to 2, 3 x 3 taps, stride 3: 68.2 dB
#   1 channel to 1, 3 x 3 taps, stride 2: 68.2 dB
#   1 channel to 1, 9 x 9 taps, stride 3: 70.3 dB
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


def level(channels, taps, stride):
    """Signal to noise against the CPU of a Conv of 24 x 24 places."""
    size = (24 - taps) // stride + 1
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        thin (float[1,1,24,24] x) => (float[1,{channels},{size},{size}] y) {{
            t = Tanh(x)
            y = Conv <strides = [{stride}, {stride}]> (t, w)
        }}""")
    generator = np.random.default_rng(0)
    weight = generator.normal(size=(channels, 1, taps, taps)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    x = generator.normal(size=(1, 1, 24, 24)).astype(np.float32)
    db = sqnr(*(run(model.SerializeToString(), {"x": x}) for run in (on_cpu, on_npu)))
    print(f"1 channel to {channels}, {taps} x {taps} taps, stride {stride}: {db:.1f} dB")
    return db


wrong = [level(1, 3, 3), level(1, 5, 4), level(1, 1, 3), level(1, 8, 8)]
right = [level(2, 3, 3), level(1, 3, 2), level(1, 9, 3)]
conclude(max(wrong) < 0 and min(right) > 30)
EOF
