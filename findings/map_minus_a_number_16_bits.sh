#!/usr/bin/env bash
# At 16 bits a map minus a number is the largest code everywhere, if the result is small
#
# Sigmoid(x) - 0.5 of small x, behind a MaxPool (a Conv or a MatMul do as well). Where the result is
# half of what it is taken from, as the sum with -0.5, and without the pool it is right.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (as described on v81 too: SOC_MODEL=72):
#   minus 0.5: 2.2 dB; 100% are the largest code
#   plus -0.5: 51.5 dB; 0% are the largest code
#   minus 0.5, a result of half the size: 73.4 dB; 0% are the largest code
#   minus 0.5, without the pool: 49.5 dB; 0% are the largest code
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


def above_half(reach=0.1, op="Sub", pooled=True):
    """Sigmoid(x) - 0.5 of x up to `reach`, with codes of 16 bits, on the CPU and the NPU."""
    half = 1 / (1 + np.exp(-reach)) - 0.5
    steps = {"sx": reach / 32768, "sg": (0.5 + half) / 65535, "sy": half / 32768, "sc": 0.5 / 65535}
    scales = ", ".join(f"float {name} = {{{step}}}" for name, step in steps.items())
    pool = "MaxPool <kernel_shape = [2, 2], strides = [2, 2]>" if pooled else "Relu"
    size = 8 if pooled else 16
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        above (uint16[1,16,16,16] x) => (uint16[1,16,{size},{size}] y)
        <{scales}, uint16 z = {{32768}}, uint16 none = {{0}}, uint16 full = {{65535}}> {{
            xf = DequantizeLinear(x, sx, z)
            m = {pool} (xf)
            mq = QuantizeLinear(m, sx, z)
            mf = DequantizeLinear(mq, sx, z)
            g = Sigmoid(mf)
            gq = QuantizeLinear(g, sg, none)
            gf = DequantizeLinear(gq, sg, none)
            n = DequantizeLinear({"full" if op == "Sub" else "none"}, sc, {"none" if op == "Sub" else "full"})
            d = {op}(gf, n)
            y = QuantizeLinear(d, sy, z)
        }}""")
    x = np.random.default_rng(0).uniform(0, 65535, (1, 16, 16, 16)).astype(np.uint16)
    feeds = {"x": x}
    return [run(model.SerializeToString(), feeds).astype(float) - 32768 for run in (on_cpu, on_npu)]


same = True
for wrong, name, options in (
    (True, "minus 0.5", {}),
    (False, "plus -0.5", {"op": "Add"}),
    (False, "minus 0.5, a result of half the size", {"reach": 1.1}),
    (False, "minus 0.5, without the pool", {"pooled": False}),
):
    truth, values = above_half(**options)
    found = sqnr(truth, values)
    print(f"{name}: {found:.1f} dB; {np.mean(values == 32767):.0%} are the largest code")
    same = same and (found < 5 if wrong else found > 30)
conclude(same)
EOF
