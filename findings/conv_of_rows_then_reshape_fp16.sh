#!/usr/bin/env bash
# In fp16 rows of a Conv that a Reshape takes apart have their values at other places
#
# A Conv of one dimension and of 3 taps gives 8 channels of 12 or 100 places, and a Reshape makes
# parts of 4 or 50 of them, or does so behind a Transpose. With a Relu between, or for 16 places, all
# is right.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen on SoC 77 (v73):
#   12 places in 3 parts: 9.2 dB
#   100 places in 2 parts: 19.6 dB
#   12 places, turned, in 3 parts: 9.2 dB
#   12 places in 3 parts, behind a Relu: 69.6 dB
#   16 places in 4 parts: 70.3 dB
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


def level(shape, middle, result):
    """Signal to noise against the CPU of a Conv of 4 to 8 channels and a Reshape."""
    sizes = [",".join(map(str, one)) for one in (shape, result)]
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        part (float[{sizes[0]}] x) => (float[{sizes[1]}] y) <int64[4] s = {{{sizes[1]}}}> {{
            c = Conv <pads = [1, 1]> (x, w)
            {middle} y = Reshape({"m" if middle else "c"}, s)
        }}""")
    random = np.random.default_rng(0)
    weight = random.normal(size=(8, 4, 3)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    x = random.normal(size=shape).astype(np.float32)
    return sqnr(*(run(model.SerializeToString(), {"x": x}) for run in (on_cpu, on_npu)))


TURNED = "m = Transpose <perm = [0, 2, 1]> (c)"
CASES = {
    "12 places in 3 parts": ((1, 4, 12), "", (1, 8, 3, 4)),
    "100 places in 2 parts": ((1, 4, 100), "", (1, 8, 2, 50)),
    "12 places, turned, in 3 parts": ((1, 4, 12), TURNED, (1, 3, 4, 8)),
    "12 places in 3 parts, behind a Relu": ((1, 4, 12), "m = Relu(c)", (1, 8, 3, 4)),
    "16 places in 4 parts": ((1, 4, 16), "", (1, 8, 4, 4)),
}
WRONG = {"12 places in 3 parts", "100 places in 2 parts", "12 places, turned, in 3 parts"}
levels = {name: level(*case) for name, case in CASES.items()}
for name, db in levels.items():
    print(f"{name}: {db:.1f} dB")
conclude(all((db < 30) == (name in WRONG) for name, db in levels.items()))
EOF
