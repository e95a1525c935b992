#!/usr/bin/env bash
# Mod of int32 numbers beyond 2,048 is computed in 16-bit floating point
#
# 3001 mod 3 is 2 instead of 1, and of numbers beyond 131,008 the remainder is 64. Indices that are
# brought into range by Mod pick other rows. Div of the same numbers is exact, and x - d (x / d) is
# the remainder.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (the same on v75, v79 and v81: SOC_MODEL=57, 69 and 72):
#   2,047 mod 3: 1, on the NPU 1, by Div 1
#   3,001 mod 3: 1, on the NPU 2, by Div 1
#   131,073 mod 3: 0, on the NPU 64, by Div 0
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


NUMBERS = np.array([5, 1000, 2047, 3001, 4097, 30001, 131073, 1048577], np.int32)


def remainders(body):
    return onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        remainders (int32[{len(NUMBERS)}] x) => (int32[{len(NUMBERS)}] y) <int32 three = {{3}}> {{
            {body}
        }}""").SerializeToString()


by_mod = remainders("y = Mod(x, three)")
by_div = remainders("q = Div(x, three) p = Mul(q, three) y = Sub(x, p)")
truth = on_cpu(by_mod, {"x": NUMBERS})
found = {name: on_npu(model, {"x": NUMBERS}) for name, model in (("Mod", by_mod), ("Div", by_div))}
for number, *results in zip(NUMBERS, truth, found["Mod"], found["Div"], strict=True):
    print("{:,} mod 3: {}, on the NPU {}, by Div {}".format(number, *results))
wrong = NUMBERS[found["Mod"] != truth]
conclude(wrong.min() > 2047 and len(wrong) >= 4 and np.array_equal(found["Div"], truth))
EOF
