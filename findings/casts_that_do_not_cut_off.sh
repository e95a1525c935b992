#!/usr/bin/env bash
# In fp16 a Cast to integers and back does not cut fractions off, and one to int32 and on to int64
# rounds to the nearest
#
# `Cast(Cast(x, int32), float)` gives x itself: the compiler drops both Casts. `Cast(x, int32)` that
# is an output cuts off, as ONNX has it; with `Cast(·, int64)` behind it, it rounds. A Reshape
# between the two makes it right.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (the same on v75, v79 and v81: SOC_MODEL=57, 69 and 72):
#   7.65 is 7 as int32, 7.65 as int32 and float, 8 as int32 and int64, 7 with a Reshape between
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


def on_npu(model, feeds):
    """What the simulator of the NPU makes of it; nothing may fall back to the CPU."""
    options = ort.SessionOptions()
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    devices = [device for device in ort.get_ep_devices() if device.ep_name == NPU][:1]
    settings = {"backend_path": qnn.get_qnn_htp_path(), "soc_model": SOC}
    options.add_provider_for_devices(devices, settings | {"enable_htp_fp16_precision": "1"})
    return ort.InferenceSession(model, options).run(None, feeds)[0]


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def casts(kind, steps):
    """The last Cast to `kind`, of what the steps make of x."""
    return onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        cut (float[1,8] x) => ({kind}[1,8] y) <int64[2] s = {{1, 8}}, int64[3] t = {{1, 2, 4}}> {{
            {steps}
        }}""").SerializeToString()


TO_FLOAT, TO_INT32, TO_INT64 = (f"Cast <to = {number}>" for number in (1, 6, 7))
CASES = {
    "int32": ("int32", f"y = {TO_INT32}(x)"),
    "int32 and float": ("float", f"a = {TO_INT32}(x) y = {TO_FLOAT}(a)"),
    "int32 and int64": ("int64", f"a = {TO_INT32}(x) y = {TO_INT64}(a)"),
    "int32, a Reshape and int64": (
        "int64",
        f"a = {TO_INT32}(x) b = Reshape(a, t) c = {TO_INT64}(b) y = Reshape(c, s)",
    ),
}
x = np.array([[-9.9, -1.3, 2.2, 7.65, -6.8, -3.5, 10.8, 5.5]], np.float32)
found = {name: on_npu(casts(*case), {"x": x}) for name, case in CASES.items()}
right = {name: np.allclose(values, np.trunc(x), atol=0.01) for name, values in found.items()}
for name, values in found.items():
    print(f"{name}: {np.round(values, 2).tolist()}, {'right' if right[name] else 'wrong'}")
conclude(list(right.values()) == [True, False, False, True])
EOF
