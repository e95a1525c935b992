#!/usr/bin/env bash
# At 16 bits, a filter of zeros with a small scale gives the lowest code in place of its bias
#
# A Conv of 1 x 1, 16 channels in and 32 out, 16-bit data and 8-bit weights with a scale for every
# filter. One filter is all zeros, as training and pruning leave them, and has next to no bias. With
# a scale of 2^-14 of the others its whole channel is the output's lowest code; at 8 bits, or with
# a scale of 2^-10 of the others, it is right.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (as described on v75, v79 and v81 too: SOC_MODEL=57, 69 and 72):
#   16 bits, 2^-14: 8.2 dB; the filter of zeros gives -32768 to -32768, on the CPU -25 to -25
#   16 bits, 2^-10: 96.1 dB; the filter of zeros gives -25 to -25, on the CPU -25 to -25
#   8 bits, 2^-14: 51.9 dB; the filter of zeros gives 0 to 0, on the CPU 0 to 0
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


def filtered(bits, share):
    """Codes of the layer, and those of the filter of zeros, on the CPU and the NPU."""
    zero = 2**bits // 2
    step = 4 / zero
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (32, 16, 1, 1)).astype(np.int8)
    scales = np.full(32, 1e-4, np.float32)
    weights[5], scales[5] = 0, 1e-4 * share
    bias = rng.uniform(-1, 1, 32)
    bias[5] = -1e-3
    steps = (step * scales).astype(np.float32)
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        filtered (uint{bits}[1,16,9,9] x) => (uint{bits}[1,32,9,9] y)
        <float s = {{{step}}}, float sy = {{{step / 3}}}, uint{bits} z = {{{zero}}}> {{
            xf = DequantizeLinear(x, s, z)
            wf = DequantizeLinear <axis = 0> (w, sw, zw)
            bf = DequantizeLinear <axis = 0> (b, sb, zb)
            c = Conv(xf, wf, bf)
            y = QuantizeLinear(c, sy, z)
        }}""")
    constants = {
        "w": weights,
        "sw": scales,
        "zw": np.zeros(32, np.int8),
        "b": np.round(bias / steps).astype(np.int32),
        "sb": steps,
        "zb": np.zeros(32, np.int32),
    }
    for name, values in constants.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    x = np.clip(np.round(rng.standard_normal((1, 16, 9, 9)) / step) + zero, 0, 2 * zero - 1)
    feeds = {"x": x.astype(f"uint{bits}")}
    return [run(model.SerializeToString(), feeds).astype(float) - zero for run in (on_cpu, on_npu)]


same = True
for wrong, bits, power in ((True, 16, 14), (False, 16, 10), (False, 8, 14)):
    truth, values = filtered(bits, 2.0**-power)
    found, codes = sqnr(truth, values), values[0, 5]
    print(
        f"{bits} bits, 2^-{power}: {found:.1f} dB; the filter of zeros gives {codes.min():.0f} to"
        f" {codes.max():.0f}, on the CPU {truth[0, 5].min():.0f} to {truth[0, 5].max():.0f}"
    )
    same = same and (found < 10 if wrong else found > 30)
conclude(same)
EOF
