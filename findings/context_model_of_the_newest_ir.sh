#!/usr/bin/env bash
# A compiled model has the newest IR version, whatever the model has; older ONNX Runtimes refuse it
#
# The EPContext model that ONNX Runtime writes (`ep.context_enable`) carries nothing but one node and
# a binary. Of a model of IR version 10 it gets version 14 with 1.32, and ONNX Runtime 1.26 refuses
# it for that number alone: with 10 in its place it loads and gives the same values. So what is
# compiled on a host with the newest ONNX Runtime does not load on a board with an older one.
#
# Versions: onnxruntime 1.32.0 and 1.26.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux. SoC 77 (v73), on the simulator.
# Seen:
#   the model has IR version 10, the compiled one 14
#   compiled, ONNX Runtime 1.32.0: values 33.56053161621094
#   compiled, ONNX Runtime 1.26.0: refused: Unsupported model IR version: 14, max supported IR
#   version: 13
#   lowered, ONNX Runtime 1.32.0: values 33.56053161621094
#   lowered, ONNX Runtime 1.26.0: values 33.56053161621094
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for version in 1.32.0 1.26.0; do
    "${PYTHON:-python3}" -m venv "$work/$version"
done
"$work/1.32.0/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 onnxruntime-qnn==2.7.0
"$work/1.26.0/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.26.0 onnxruntime-qnn==2.7.0

cat > "$work/load.py" <<'EOF'
"""Compiles a model, or loads what was compiled and gives its values."""

import os
import sys

import numpy as np
import onnxruntime as ort
import onnxruntime_qnn as qnn

NPU = "QNNExecutionProvider"
ort.set_default_logger_severity(4)
ort.register_execution_provider_library(NPU, qnn.get_library_path())
options = ort.SessionOptions()
options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
if len(sys.argv) > 2:
    options.add_session_config_entry("ep.context_enable", "1")
    options.add_session_config_entry("ep.context_file_path", sys.argv[2])
devices = [device for device in ort.get_ep_devices() if device.ep_name == NPU][:1]
settings = {
    "backend_path": qnn.get_qnn_htp_path(),
    "soc_model": os.environ.get("SOC_MODEL", "77"),
    "enable_htp_fp16_precision": "1",
}
options.add_provider_for_devices(devices, settings)
try:
    session = ort.InferenceSession(sys.argv[1], options)
except Exception as error:
    print("refused:", str(error).rpartition(") ")[2])
    sys.exit()
if len(sys.argv) == 2:
    given = {"x": np.linspace(-2, 2, 64, dtype=np.float32).reshape(1, 4, 4, 4)}
    print("values", float(session.run(None, given)[0].sum()))
EOF

cat > "$work/show.py" <<'EOF'
import subprocess
import sys

import onnx

work = sys.argv[1]


def load(version, model, *more):
    python = f"{work}/{version}/bin/python"
    done = subprocess.run(
        [python, f"{work}/load.py", model, *more], capture_output=True, text=True, check=True
    )
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


onnx.save(
    onnx.parser.parse_model("""
        <ir_version: 10, opset_import: ["": 21]>
        net (float[1,4,4,4] x) => (float[1,4,4,4] y) {
            t = Tanh(x)
            y = Mul(t, t)
        }"""),
    f"{work}/model.onnx",
)
load("1.32.0", f"{work}/model.onnx", f"{work}/compiled.onnx")
compiled = onnx.load(f"{work}/compiled.onnx")
version = compiled.ir_version
compiled.ir_version = 10
onnx.save(compiled, f"{work}/lowered.onnx")
print("the model has IR version 10, the compiled one", version)
seen = {
    (runtime, name): load(runtime, f"{work}/{name}.onnx")
    for name in ("compiled", "lowered")
    for runtime in ("1.32.0", "1.26.0")
}
for (runtime, name), answer in seen.items():
    print(f"{name}, ONNX Runtime {runtime}: {answer}")
same = (
    version > 10
    and seen["1.26.0", "compiled"].startswith("refused")
    and seen["1.32.0", "compiled"].startswith("values")
    and len({seen[r, "lowered"] for r in ("1.32.0", "1.26.0")} | {seen["1.32.0", "compiled"]}) == 1
)
print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
sys.exit(0 if same else 1)
EOF
"$work/1.32.0/bin/python" "$work/show.py" "$work"
