#!/usr/bin/env bash
# What GatherElements takes keeps its codes in a Concat of another scale
#
# The graph is `Concat(x, GatherElements(data, i))` in plain Q/DQ form: data and what is taken of
# them have a scale of 1/256, x and the Concat one of 7/2560. The provider takes all of it. What is
# taken comes out 0.7 times as large, as if its codes were those of the Concat; a Reshape between
# changes nothing. In front of an Add, behind a Relu, of equal scales, and by Gather, all is right.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (the same on v68, v75, v79, v81 and v85: SOC_MODEL=30, 57, 69, 72 and 114):
#   elements, 8 bits: 12.6 dB
#   elements, 16 bits: 12.6 dB
#   elements behind a Reshape: 12.6 dB
#   elements behind a Relu: 200.0 dB
#   elements in front of an Add: 200.0 dB
#   elements of the same scale: 200.0 dB
#   Gather in place of GatherElements: 200.0 dB
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
    options.add_provider_for_devices(devices, settings)
    return ort.InferenceSession(model, options).run(None, feeds)[0]


def sqnr(truth, found):
    """Signal-to-quantization-noise ratio in dB; 200 where nothing differs."""
    noise = np.square(truth - found).sum()
    return 10 * np.log10(np.square(truth).sum() / noise) if noise else 200.0


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def network(kind="uint8", take="elements", between="", join="Concat", other=0.7):
    """Every tensor behind a Q/DQ pair; `other` is the ratio of the scales."""
    size = 256 if kind == "uint8" else 65536
    taken = {
        "elements": "g = GatherElements <axis = 2> (df, i)",
        "rows": "g = Gather <axis = 2> (df, first)",
    }[take]
    moved = {
        "": "t = Identity(g)",
        "Relu": "gq0 = QuantizeLinear(g, sd, z) gf0 = DequantizeLinear(gq0, sd, z) t = Relu(gf0)",
        "Reshape": """gq0 = QuantizeLinear(g, sd, z) gf0 = DequantizeLinear(gq0, sd, z)
            flat = Reshape(gf0, n) fq = QuantizeLinear(flat, sd, z)
            ff = DequantizeLinear(fq, sd, z) t = Reshape(ff, back)""",
    }[between]
    joined = "y0 = Concat <axis = 2> (xf, gf)" if join == "Concat" else "y0 = Add(xf, gf)"
    width = 2 if join == "Concat" else 1
    return onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        elements (float[1,16,1] x, float[1,16,64] d, int32[1,16,1] i) => (float[1,16,{width}] y)
        <float sd = {{{1 / size}}}, float sx = {{{other / size}}}, {kind} z = {{0}},
         int32[1] first = {{3}}, int64[1] n = {{16}}, int64[3] back = {{1, 16, 1}}> {{
            xq = QuantizeLinear(x, sx, z) xf = DequantizeLinear(xq, sx, z)
            dq = QuantizeLinear(d, sd, z) df = DequantizeLinear(dq, sd, z)
            {taken}
            {moved}
            gq = QuantizeLinear(t, sd, z) gf = DequantizeLinear(gq, sd, z)
            {joined}
            yq = QuantizeLinear(y0, {"sx" if join == "Concat" else "sd"}, z)
            y = DequantizeLinear(yq, {"sx" if join == "Concat" else "sd"}, z)
        }}""")


def level(**case):
    """dB of the result."""
    random = np.random.default_rng(0)
    feeds = {
        "x": random.uniform(0.1, 0.4, (1, 16, 1)).astype(np.float32),
        "d": random.uniform(0.1, 0.5, (1, 16, 64)).astype(np.float32),
        "i": random.integers(0, 64, (1, 16, 1)).astype(np.int32),
    }
    model = network(**case)
    if case.get("take") == "rows":
        del model.graph.input[2]
        del feeds["i"]
    data = model.SerializeToString()
    return float(sqnr(on_cpu(data, feeds), on_npu(data, feeds)))


cases = {
    "elements, 8 bits": {},
    "elements, 16 bits": {"kind": "uint16"},
    "elements behind a Reshape": {"between": "Reshape"},
    "elements behind a Relu": {"between": "Relu"},
    "elements in front of an Add": {"join": "Add"},
    "elements of the same scale": {"other": 1.0},
    "Gather in place of GatherElements": {"take": "rows"},
}
found = {name: level(**case) for name, case in cases.items()}
for name, db in found.items():
    print(f"{name}: {db:.1f} dB")
wrong = [name for name, db in found.items() if db < 25]
conclude(wrong == list(cases)[:3])
EOF
