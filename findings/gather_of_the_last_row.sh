#!/usr/bin/env bash
# Gather of 32 or more rows of 8 computed bytes is wrong wherever it picks the last row
#
# A quantized tensor [16, 8] that a node has made, gathered along axis 0 by constant indices: with
# 31 picks all rows are right, with 32 every pick of row 15 is wrong. Rows of 16 and of 32 bytes
# likewise; 17 rows, or rows of 24 bytes, are right. Boxes [N, 4] at 16 bits are rows of 8 bytes.
# Of rows that are longer by 256 elements those behind the 256 are wrong: 264 at 8 bits, 260 at 16.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (the same on v75, v79 and v81: SOC_MODEL=57, 69 and 72):
#   31 picks of 16 rows of 8 bytes: wrong rows []
#   32 picks of 16 rows of 8 bytes: wrong rows [15]
#   64 picks of 16 rows of 16 bytes: wrong rows [15]
#   64 picks of 16 rows of 24 bytes: wrong rows []
#   64 picks of 17 rows of 8 bytes: wrong rows []
#   31 picks of 16 rows of 264 bytes: wrong rows []
#   32 picks of 16 rows of 264 bytes: wrong rows [15] from element 256 on
#   32 picks of 16 rows of 280 bytes: wrong rows []
#   31 picks of 16 rows of 520 bytes: wrong rows []
#   32 picks of 16 rows of 520 bytes: wrong rows [15] from element 256 on
#   32 picks of 17 rows of 520 bytes: wrong rows []
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


def wrong_elements(rows, elements, picks, bits):
    """Rows of a computed `[rows, elements]` that the NPU gathers wrongly, and their first element
    that is wrong."""
    indices = np.arange(picks) % rows
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        pick (uint{bits}[{rows},{elements}] x) => (uint{bits}[{picks},{elements}] y)
        <float s = {{0.02}}, uint{bits} z = {{{2**bits // 2}}}> {{
            xf = DequantizeLinear(x, s, z)
            a = Neg(xf)
            aq = QuantizeLinear(a, s, z)
            af = DequantizeLinear(aq, s, z)
            g = Gather <axis = 0> (af, indices)
            y = QuantizeLinear(g, s, z)
        }}""")
    model.graph.initializer.append(onnx.numpy_helper.from_array(indices, "indices"))
    x = np.random.default_rng(0).integers(0, 2**bits, (rows, elements)).astype(f"uint{bits}")
    truth, found = (
        run(model.SerializeToString(), {"x": x}).astype(int) for run in (on_cpu, on_npu)
    )
    wrong = np.abs(truth - found) > 2
    first = np.nonzero(wrong)[1].min() if wrong.any() else None
    return sorted(set(indices[wrong.any(axis=1)].tolist())), first


expected = {
    (16, 8, 31, 8): ([], None),
    (16, 8, 32, 8): ([15], 0),
    (16, 16, 64, 8): ([15], 0),
    (16, 24, 64, 8): ([], None),
    (17, 8, 64, 8): ([], None),
    (16, 264, 31, 8): ([], None),
    (16, 264, 32, 8): ([15], 256),
    (16, 280, 32, 8): ([], None),
    (16, 260, 31, 16): ([], None),
    (16, 260, 32, 16): ([15], 256),
    (17, 260, 32, 16): ([], None),
}
found = {case: wrong_elements(*case) for case in expected}
for (rows, elements, picks, bits), (wrong, first) in found.items():
    where = f" from element {first} on" if first else ""
    print(f"{picks} picks of {rows} rows of {elements * bits // 8} bytes: wrong rows {wrong}{where}")
conclude(found == expected)
EOF
