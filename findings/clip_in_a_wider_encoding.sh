#!/usr/bin/env bash
# A Clip behind an Add, Mul or Conv loses its bounds where its output's encoding is wider
#
# `Clip(x + x, 0, 6)` between DQ and Q whose encodings reach from -8 to 8, of 16 bits: the NPU clips
# to -8 and 8. The same as Relu, or behind Tanh (which bounds by itself), is right, and so is an
# encoding from 0 to 6. `Clip(x + x, 0.1, 2)` in an encoding from 0 to 2 loses the 0.1, at 8 bits as
# well. Encodings wider than the Clip are what a Concat with a wider tensor asks for.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen:
#   Clip 0 to 6, encoding -8 to 8, 16 bits: -0.2 dB, smallest value -6.21 (CPU 0.00)
#   Relu, encoding -8 to 8, 16 bits: 132.8 dB, smallest value 0.00 (CPU 0.00)
#   Clip 0 to 6, encoding 0 to 6, 16 bits: 93.6 dB, smallest value 0.00 (CPU 0.00)
#   Clip 0.1 to 2, encoding 0 to 2, 8 bits: 22.7 dB, smallest value 0.00 (CPU 0.10)
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 onnxruntime-qnn==2.7.0

"$work/venv/bin/python" - "$work" <<'PY'
import os
import sys

import numpy as np
import onnxruntime as ort
import onnxruntime_qnn as qnn
from onnx import TensorProto, helper, numpy_helper

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
    options.add_provider_for_devices(devices, settings | {"offload_graph_io_quantization": "0"})
    return ort.InferenceSession(model, options).run(None, feeds)[0]


def sqnr(truth, found):
    """Signal-to-quantization-noise ratio in dB; 200 where nothing differs."""
    noise = np.square(truth - found).sum()
    return 10 * np.log10(np.square(truth).sum() / noise) if noise else 200.0


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def clipped_sum(bounds, encoding, bits):
    """`Clip(x + x)` between Q and DQ of one encoding; Relu without bounds."""
    dtype = np.uint16 if bits == 16 else np.uint8
    nodes, held = [], {}

    def quantized(name, number, low, high, result):
        scale = np.float32((high - low) / (2**bits - 1))
        held.update({f"s{number}": scale, f"z{number}": dtype(round(-low / scale))})
        encoding = [f"s{number}", f"z{number}"]
        nodes.append(helper.make_node("QuantizeLinear", [name, *encoding], [f"q{number}"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"q{number}", *encoding], [result]))

    quantized("x", 0, -4, 4, "x_dequantized")
    nodes.append(helper.make_node("Add", ["x_dequantized", "x_dequantized"], ["sum"]))
    quantized("sum", 1, *encoding, "sum_dequantized")
    if bounds is None:
        nodes.append(helper.make_node("Relu", ["sum_dequantized"], ["clipped"]))
    else:
        held.update(low=np.float32(bounds[0]), high=np.float32(bounds[1]))
        nodes.append(helper.make_node("Clip", ["sum_dequantized", "low", "high"], ["clipped"]))
    quantized("clipped", 2, *encoding, "y")
    shape = [1, 8, 6, 6]
    graph = helper.make_graph(
        nodes,
        "clipped_sum",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in held.items()],
    )
    opset = [helper.make_opsetid("", 21)]
    return helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()


x = np.random.default_rng(0).standard_normal((1, 8, 6, 6)).astype(np.float32)
figures = []
for name, *case in (
    ("Clip 0 to 6, encoding -8 to 8, 16 bits", (0, 6), (-8, 8), 16),
    ("Relu, encoding -8 to 8, 16 bits", None, (-8, 8), 16),
    ("Clip 0 to 6, encoding 0 to 6, 16 bits", (0, 6), (0, 6), 16),
    ("Clip 0.1 to 2, encoding 0 to 2, 8 bits", (0.1, 2), (0, 2), 8),
):
    model = clipped_sum(*case)
    truth, found = on_cpu(model, {"x": x}), on_npu(model, {"x": x})
    figures.append(sqnr(truth, found))
    least = f"smallest value {found.min():.2f} (CPU {truth.min():.2f})"
    print(f"{name}: {figures[-1]:.1f} dB, {least}")
wide, relu, exact, low = figures
conclude(wide < 10 and relu > 60 and exact > 60 and low < 30)
PY
