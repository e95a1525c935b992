#!/usr/bin/env bash
# Concat of 5 dimensions leaves codes of 8 bits as they are where their step is another
#
# A Sigmoid (steps of 1/256) and a Relu (steps of 1/64, which the result has too), joined along the
# last axis: over 5 dimensions the Sigmoid's codes are taken for ones of 1/64. Over 4 dimensions
# they are converted, and so are codes of 16 bits over 5. Heads of detectors are joined so.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen on SoC 77 (v73; on v75 and v81, SOC_MODEL=57 and 72, as well):
#   4 dimensions, 8 bits: 49.4 dB
#   4 dimensions, 16 bits: 97.0 dB
#   5 dimensions, 8 bits: -0.5 dB
#   5 dimensions, 16 bits: 98.2 dB
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


def level(shape, bits):
    """Signal to noise of the joined tensor against the CPU."""
    size, steps, last = ",".join(map(str, shape)), 2**bits, len(shape) - 1
    joined = ",".join(map(str, (*shape[:-1], 2 * shape[-1])))
    kind = f"uint{bits}"
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        join ({kind}[{size}] x) => ({kind}[{joined}] y)
        <float s = {{{8 / steps}}}, {kind} z = {{{steps // 2}}}, float own = {{{1 / steps}}},
         float wide = {{{4 / steps}}}, {kind} none = {{0}}> {{
            xf = DequantizeLinear(x, s, z)
            a = Sigmoid(xf)
            aq = QuantizeLinear(a, own, none)
            af = DequantizeLinear(aq, own, none)
            b = Relu(xf)
            bq = QuantizeLinear(b, wide, none)
            bf = DequantizeLinear(bq, wide, none)
            j = Concat <axis = {last}> (af, bf)
            y = QuantizeLinear(j, wide, none)
        }}""").SerializeToString()
    x = np.random.default_rng(0).integers(0, steps, shape).astype(kind)
    return sqnr(*(run(model, {"x": x}).astype(float) for run in (on_cpu, on_npu)))


CASES = {(dims, bits): (1, 3, 10, 10, 8)[-dims:] for dims in (4, 5) for bits in (8, 16)}
levels = {case: level(shape, case[1]) for case, shape in CASES.items()}
for (dims, bits), db in levels.items():
    print(f"{dims} dimensions, {bits} bits: {db:.1f} dB")
conclude(all((db < 20) == (case == (5, 8)) for case, db in levels.items()))
EOF
