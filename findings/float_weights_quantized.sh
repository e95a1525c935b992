#!/usr/bin/env bash
# ONNX Runtime quantizes the weights of layers that a Q/DQ model leaves in float
#
# The graph is three Convs with ReLU; a Q and a DQ of 16 bits stand between them. The first and the
# last have weights behind a DQ, the middle one has float weights: it is to compute in float.
# An optimizer that is on by default, WeightBiasQuantization, makes them 8-bit weights with one
# scale for the whole tensor, and the bias codes of 32 bits, on the CPU and for the NPU. Here that
# costs 36 dB on either. Without that optimizer (`disabled_optimizers`), or where the data passes a
# Cast to float16 and one back, the layer computes in float. Weights of a MatMul are left alone.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen:
#   CPU: float weights: 6.0 dB
#   CPU: float weights, without WeightBiasQuantization: 42.6 dB
#   CPU: float weights, data passing two Casts: 42.6 dB
#   CPU: 8-bit weights with a scale a channel: 39.7 dB
#   NPU: float weights: 6.1 dB
#   NPU: float weights, without WeightBiasQuantization: 42.7 dB
#   NPU: float weights, data passing two Casts: 42.7 dB
#   NPU: 8-bit weights with a scale a channel: 39.8 dB
#   lost: 36.6 dB on the CPU, 36.6 dB on the NPU
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
from onnx import numpy_helper

NPU = "QNNExecutionProvider"
SOC = os.environ.get("SOC_MODEL", "77")  # QCS9075, Hexagon v73
ort.set_default_logger_severity(3)
ort.register_execution_provider_library(NPU, qnn.get_library_path())

random = np.random.default_rng(0)
SHAPES = {"a": (8, 8, 3, 3), "b": (8, 8, 3, 3), "c": (8, 1, 1, 1)}
WEIGHTS = {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in SHAPES.items()}
WEIGHTS["b"][:4] *= 0.01  # four channels need a finer step than the other four
WEIGHTS["c"][:4] *= 100
BIASES = {name: random.normal(0, 0.1, len(w)).astype(np.float32) for name, w in WEIGHTS.items()}
BIASES["b"][:4] *= 0.01
FEEDS = {"x": random.normal(0, 1, (1, 8, 16, 16)).astype(np.float32)}


def maps(x):
    """What the first and the second ReLU and the last layer give, in float."""

    def conv(x, name):
        weight, edge = WEIGHTS[name], WEIGHTS[name].shape[-1] // 2
        padded = np.pad(x, [(0, 0), (0, 0), (edge, edge), (edge, edge)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], (2, 3))
        made = np.einsum("nchwij,ocij->nohw", windows, weight)
        return made + BIASES[name][:, None, None]

    first = np.maximum(conv(x, "a"), 0)
    second = np.maximum(conv(first, "b"), 0)
    return first, second, second * WEIGHTS["c"][:, 0] + BIASES["c"][:, None, None]


FIRST, SECOND, TRUTH = maps(FEEDS["x"])


def network(middle):
    """The model as text, with its constants; `middle` is the form of the middle layer."""
    constants = {"zero": np.uint16(0), "half": np.uint16(32768)}
    for name, value in (("x", FEEDS["x"]), ("y", TRUTH)):
        constants[f"s{name}"] = np.float32(np.abs(value).max() / 32767)
    for name, value in (("f", FIRST), ("s", SECOND)):
        constants[f"s{name}"] = np.float32(value.max() / 65535)
    taken = {"a": constants["sx"], "b": constants["sf"], "c": constants["ss"]}
    layers = {}
    for name, weight in WEIGHTS.items():
        if name == "b" and middle != "quantized":
            constants |= {"wb": weight, "bb": BIASES[name]}
            continue
        scale = np.abs(weight).max((1, 2, 3)) / 127
        constants |= {
            f"q{name}": np.round(weight / scale[:, None, None, None]).astype(np.int8),
            f"t{name}": scale.astype(np.float32),
            f"z{name}": np.zeros(len(scale), np.int8),
            f"i{name}": np.round(BIASES[name] / (scale * taken[name])).astype(np.int32),
            f"u{name}": (scale * taken[name]).astype(np.float32),
            f"n{name}": np.zeros(len(scale), np.int32),
        }
        layers[name] = f"""w{name} = DequantizeLinear <axis = 0> (q{name}, t{name}, z{name})
            b{name} = DequantizeLinear <axis = 0> (i{name}, u{name}, n{name})"""
    casts = "h = Cast <to = 10> (ff) fg = Cast <to = 1> (h)"
    text = f"""
        <ir_version: 10, opset_import: ["": 21]>
        layers (float[1,8,16,16] x) => (float[1,8,16,16] y) {{
            xq = QuantizeLinear(x, sx, half) xf = DequantizeLinear(xq, sx, half)
            {layers["a"]}
            c0 = Conv <pads = [1, 1, 1, 1]> (xf, wa, ba) f = Relu(c0)
            fq = QuantizeLinear(f, sf, zero) ff = DequantizeLinear(fq, sf, zero)
            {layers.get("b", "")}
            {casts if middle == "float behind two Casts" else "fg = Identity(ff)"}
            c1 = Conv <pads = [1, 1, 1, 1]> (fg, wb, bb) s = Relu(c1)
            sq = QuantizeLinear(s, ss, zero) sd = DequantizeLinear(sq, ss, zero)
            {layers["c"]}
            y0 = Conv <group = 8> (sd, wc, bc)
            yq = QuantizeLinear(y0, sy, half) y = DequantizeLinear(yq, sy, half)
        }}"""
    model = onnx.parser.parse_model(text)
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
    )
    return model.SerializeToString()


def session(model, where, disabled):
    """A session on the CPU, or on the simulator of the NPU with nothing on the CPU."""
    options = ort.SessionOptions()
    if where == "CPU":
        return ort.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], disabled_optimizers=disabled
        )
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    devices = [device for device in ort.get_ep_devices() if device.ep_name == NPU][:1]
    settings = {"backend_path": qnn.get_qnn_htp_path(), "soc_model": SOC}
    options.add_provider_for_devices(devices, settings)
    return ort.InferenceSession(model, options, disabled_optimizers=disabled)


def level(middle, where, *disabled):
    """Signal-to-quantization-noise ratio of the output over the float network, in dB."""
    found = session(network(middle), where, list(disabled)).run(None, FEEDS)[0]
    return 10 * np.log10(np.square(TRUTH).sum() / np.square(TRUTH - found).sum())


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


losses, levels = [], []
for where in ("CPU", "NPU"):
    as_it_is = level("float", where)
    others = {
        "float weights, without WeightBiasQuantization": level(
            "float", where, "WeightBiasQuantization"
        ),
        "float weights, data passing two Casts": level("float behind two Casts", where),
        "8-bit weights with a scale a channel": level("quantized", where),
    }
    print(f"{where}: float weights: {as_it_is:.1f} dB")
    for name, db in others.items():
        print(f"{where}: {name}: {db:.1f} dB")
    losses += [min(list(others.values())[:2]) - as_it_is]
print(f"lost: {losses[0]:.1f} dB on the CPU, {losses[1]:.1f} dB on the NPU")
conclude(min(losses) > 20)
EOF
