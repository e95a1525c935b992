#!/usr/bin/env bash
# A run that fails on the NPU is run again on the CPU, and the session stays there
#
# The Python API of ONNX Runtime does so with providers of devices too, such as the QNN provider. It
# prints a line and gives the CPU's values, also those of all later runs. With CPU fallback disabled
# by the session's configuration (session.disable_cpu_ep_fallback), the attempt itself is refused:
# the error is of conflicting settings and not that of the NPU. With enable_fallback=0 at
# InferenceSession the NPU's own error is raised.
#
# The run that fails is of a Conv whose first column has two of three taps in the padding; the
# provider takes it and compiles it, and its graph does not execute.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen:
#   as it comes: ['QNNExecutionProvider', 'CPUExecutionProvider'] after a run ['CPUExecutionProvider']
#   disable_cpu_ep_fallback: InvalidArgument ... Conflicting session configuration: explicitly added ...
#   enable_fallback=0: EPFail ... Non-zero status code returned while running QNNExecutionProvider ...
#   enable_fallback=0: EPFail ... (the same with disable_cpu_ep_fallback)
#   a Conv with less padding: ['QNNExecutionProvider', 'CPUExecutionProvider'] after a run [the same]
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 onnxruntime-qnn==2.7.0

"$work/venv/bin/python" - <<'EOF'
import os
import sys

import numpy as np
import onnx
import onnxruntime as ort
import onnxruntime_qnn as qnn

NPU, CPU = "QNNExecutionProvider", "CPUExecutionProvider"
SOC = os.environ.get("SOC_MODEL", "77")  # QCS9075, Hexagon v73
ort.set_default_logger_severity(4)
ort.register_execution_provider_library(NPU, qnn.get_library_path())
X = np.random.default_rng(0).normal(size=(1, 4, 8, 4)).astype(np.float32)


def conv(pad):
    """A Conv of 3 x 3 taps with strides of 4, and padding in front of the columns."""
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        strided (float[1,4,8,4] x) => (float[1,4,2,1] y) {{
            y = Conv <strides = [4, 4], pads = [0, {pad}, 0, 0]> (x, w)
        }}""")
    weight = np.random.default_rng(1).normal(size=(4, 4, 3, 3)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    return model.SerializeToString()


def session(model, strict, **arguments):
    options = ort.SessionOptions()
    if strict:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    devices = [device for device in ort.get_ep_devices() if device.ep_name == NPU][:1]
    settings = {"backend_path": qnn.get_qnn_htp_path(), "soc_model": SOC}
    options.add_provider_for_devices(devices, settings | {"enable_htp_fp16_precision": "1"})
    return ort.InferenceSession(model, options, **arguments)


def attempt(pad, strict=False, **arguments):
    """What a run ends with: the providers before and behind it and its output, or the error."""
    opened = session(conv(pad), strict, **arguments)
    before = opened.get_providers()
    try:
        y = opened.run(None, {"x": X})[0]
    except Exception as error:
        return type(error).__name__, str(error)
    return before, opened.get_providers(), y


cpu = ort.InferenceSession(conv(2), providers=[CPU]).run(None, {"x": X})[0]
before, behind, y = attempt(2)
print("as it comes:", before, "after a run", behind)
moved = before == [NPU, CPU] and behind == [CPU] and np.array_equal(y, cpu)

kind, text = attempt(2, strict=True)
print("disable_cpu_ep_fallback:", kind, text[:120])
hidden = kind == "InvalidArgument" and "Conflicting session configuration" in text

told = []
for strict in (False, True):
    kind, text = attempt(2, strict, enable_fallback=0)
    print("enable_fallback=0:", kind, text[:120])
    told.append(kind == "EPFail" and "QNN" in text)

before, behind, _ = attempt(1)
print("a Conv with less padding:", before, "after a run", behind)
stays = before == behind == [NPU, CPU]

same = moved and hidden and all(told) and stays
print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
sys.exit(0 if same else 1)
EOF
