#!/usr/bin/env bash
# At 8 bits, Pow is wrong with a base of one element, and right with one as large as the result
#
# `2 ** x` in Q/DQ form: the constant base of one element is broadcast, as ONNX has it. At 16
# bits both are right.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (the same on v75, v79 and v81: SOC_MODEL=57, 69 and 72):
#   base of 1 element: -6.1 dB; of 1024 elements: 200.0 dB
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


def power(base):
    """2 ** x; the base, code 200 at 0.01, is of one element or as large as x."""
    model = onnx.parser.parse_model("""
        <ir_version: 10, opset_import: ["": 21]>
        power (uint8[1,16,8,8] x) => (uint8[1,16,8,8] y)
        <float s = {0.02}, uint8 z = {128}, float sb = {0.01}, float so = {0.025}, uint8 z0 = {0}> {
            xf = DequantizeLinear(x, s, z)
            base = DequantizeLinear(b, sb, z0)
            p = Pow(base, xf)
            y = QuantizeLinear(p, so, z0)
        }""")
    model.graph.initializer.append(onnx.numpy_helper.from_array(base, "b"))
    return model.SerializeToString()


x = np.random.default_rng(0).integers(0, 256, (1, 16, 8, 8)).astype(np.uint8)
one, whole = power(np.array([200], np.uint8)), power(np.full((1, 16, 8, 8), 200, np.uint8))
truth = on_cpu(one, {"x": x}).astype(float)
repeated, as_large = (sqnr(truth, on_npu(model, {"x": x}).astype(float)) for model in (one, whole))
print(f"base of 1 element: {repeated:.1f} dB; of {x.size} elements: {as_large:.1f} dB")
conclude(repeated < 20 and as_large > 40)
EOF
