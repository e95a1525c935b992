#!/usr/bin/env bash
# A Conv of two groups with 30 results leaves an InstanceNormalization near zero
#
# 38 channels in, 1 x 1, a scale of weights for every channel, and gamma and beta of the
# normalization quantized: its results are zero, at 8 bits and nearly so at 16. The Conv alone, the
# same weights in one group with zeros between, one scale for all weights, gamma and beta in float,
# or 32 results are right.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (as described on v75, v79 and v81 too: SOC_MODEL=57, 69 and 72):
#   8 bits, 30 results: 0.0 dB; codes up to 0 from zero
#   8 bits, 30 results, Conv alone: 49.7 dB; codes up to 128 from zero
#   8 bits, 30 results, weights with zeros: 41.9 dB; codes up to 112 from zero
#   8 bits, 30 results, one scale of weights: 42.6 dB; codes up to 98 from zero
#   8 bits, 30 results, gamma and beta in float: 44.3 dB; codes up to 112 from zero
#   8 bits, 32 results: 42.1 dB; codes up to 95 from zero
#   16 bits, 30 results: 0.0 dB; codes up to 11 from zero
#   16 bits, 30 results, weights with zeros: 82.5 dB; codes up to 28850 from zero
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


def normalized(bits, results=30, norm=True, dense=False, per_channel=True, codes=True):
    """Conv of two groups over `[1, 38, 5, 17]` and InstanceNormalization, on the CPU and the NPU.

    dense: in one group, with zeros between. per_channel: a scale for every filter. codes: the
    scale of the normalization is quantized too."""
    zero = 2**bits // 2
    step = 4 / zero
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (results, 19, 1, 1)).astype(np.int8)
    if dense:
        none = np.zeros_like(weights[: results // 2])
        halves = (np.hstack([weights[: results // 2], none]), np.hstack([none, weights[results // 2 :]]))
        weights = np.vstack(halves)
    channels = "<axis = 0>" if per_channel else ""
    coded = "gammaf = DequantizeLinear(gamma, sg, zg) betaf = DequantizeLinear(beta, sb, zb)"
    last = "y = QuantizeLinear(c, sc, z)"
    if norm:
        last = f"""cq = QuantizeLinear(c, sc, z)
            cf = DequantizeLinear(cq, sc, z)
            {coded if codes else ""}
            n = InstanceNormalization(cf, {"gammaf, betaf" if codes else "gamma, beta"})
            y = QuantizeLinear(n, s, z)"""
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        normalized (uint{bits}[1,38,5,17] x) => (uint{bits}[1,{results},5,17] y)
        <float s = {{{step}}}, float sc = {{{5 * step}}}, uint{bits} z = {{{zero}}},
         float sg = {{{1 / 255}}}, uint8 zg = {{0}}, float sb = {{{5 * step / 255}}}, int32 zb = {{0}}> {{
            xf = DequantizeLinear(x, s, z)
            wf = DequantizeLinear {channels} (w, sw, zw)
            c = Conv <group = {1 if dense else 2}> (xf, wf)
            {last}
        }}""")
    scales = rng.uniform(0.01, 0.03, results).astype(np.float32)
    constants = {
        "w": weights,
        "sw": scales if per_channel else scales[0],
        "zw": np.zeros(results if per_channel else (), np.int8),
        "gamma": np.full(results, 255, np.uint8) if codes else np.ones(results, np.float32),
        "beta": np.zeros(results, np.int32 if codes else np.float32),
    }
    for name, values in constants.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(values), name))
    x = np.clip(np.round(rng.standard_normal((1, 38, 5, 17)) / step) + zero, 0, 2 * zero - 1)
    feeds = {"x": x.astype(f"uint{bits}")}
    return [run(model.SerializeToString(), feeds).astype(float) - zero for run in (on_cpu, on_npu)]


same = True
for wrong, bits, name, options in (
    (True, 8, "30 results", {}),
    (False, 8, "30 results, Conv alone", {"norm": False}),
    (False, 8, "30 results, weights with zeros", {"dense": True}),
    (False, 8, "30 results, one scale of weights", {"per_channel": False}),
    (False, 8, "30 results, gamma and beta in float", {"codes": False}),
    (False, 8, "32 results", {"results": 32}),
    (True, 16, "30 results", {}),
    (False, 16, "30 results, weights with zeros", {"dense": True}),
):
    truth, values = normalized(bits, **options)
    found = sqnr(truth, values)
    print(f"{bits} bits, {name}: {found:.1f} dB; codes up to {np.abs(values).max():.0f} from zero")
    same = same and (found < 5 if wrong else found > 30)
conclude(same)
EOF
