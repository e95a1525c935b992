#!/usr/bin/env bash
# A Pad behind the last axis of rows is wrong where a Relu or a MatMul is beside it
#
# `x [8, 33]`, 3 zeros behind each row: in fp16 wrong behind a Relu, and in fp16, at 8 and at 16 bits
# in front of a MatMul. In front of the rows, or as `[8, 33, 1]` with the zeros behind the
# middle axis, the Pad is right. Padding is given as it is in front, behind.
#
# Versions: onnxruntime 1.32.0, onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen (as described on v75, v79 and v81 too: SOC_MODEL=57, 69 and 72):
#   fp16: Relu, Pad 0, 3, Neg: 10.4 dB
#   fp16: Neg, Pad 0, 3, Neg: 74.3 dB
#   fp16: Relu, Pad 3, 0, Neg: 75.6 dB
#   fp16: Relu, Pad 0, 3, as a column, Neg: 75.6 dB
#   fp16: Relu, Pad 0, 3, MatMul: 11.5 dB
#   fp16: Neg, Pad 0, 3, MatMul: 12.1 dB
#   fp16: Relu, Pad 0, 3, as a column, MatMul: 71.6 dB
#   8 bits: Relu, Pad 0, 3, MatMul: 4.3 dB
#   8 bits: Neg, Pad 0, 3, MatMul: 5.9 dB
#   8 bits: Relu, Pad 0, 3, Neg: 200.0 dB
#   8 bits: Relu, Pad 3, 0, MatMul: 43.4 dB
#   8 bits: Relu, Pad 0, 3, as a column, MatMul: 42.6 dB
#   16 bits: Relu, Pad 0, 3, MatMul: 4.3 dB
#   16 bits: Relu, Pad 3, 0, MatMul: 80.9 dB
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


def kept(name, bits):
    """The codes of a tensor and their values; in float only another name for it."""
    if not bits:
        return f"{name}f = Identity({name})"
    return f"""{name}q = QuantizeLinear({name}, s{name}, z)
               {name}f = DequantizeLinear({name}q, s{name}, z)"""


def padded(bits, first, pads, read, column=False):
    """A first operator, a Pad of `[8, 33]` along the last axis and a MatMul or Neg; not quantized
    where `bits` is 0. With `column` the rows are `[8, 33, 1]` as they are padded."""
    length, zero = 33 + sum(pads), 2**bits // 2
    kind, step = f"uint{bits}" if bits else "float", 4 / max(zero, 1)
    if column:
        widths = f"0, {pads[0]}, 0, 0, {pads[1]}, 0"
        pad = f"b = Reshape(af, parted) {kept('b', bits)} c = Pad(bf, pads) {kept('c', bits)}"
        pad += " d = Reshape(cf, flat)"
    else:
        widths, pad = f"0, {pads[0]}, 0, {pads[1]}", "d = Pad(af, pads)"
    weight = "wf = DequantizeLinear(w, sw, zw)" if bits else "wf = Cast <to = 1> (w)"
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        padded ({kind}[8,33] x) => ({kind}[8,{length if read == "Neg" else 20}] y)
        <int64[{6 if column else 4}] pads = {{{widths}}}, int64[3] parted = {{8, 33, 1}},
         int64[2] flat = {{8, {length}}}, float sa = {{{step}}}, float sb = {{{step}}},
         float sc = {{{step}}}, float sd = {{{step}}}, float sy = {{{step if read == "Neg" else 10 * step}}},
         uint{bits or 8} z = {{{zero}}}, float sw = {{0.02}}, int8 zw = {{0}}> {{
            {"xf = DequantizeLinear(x, sa, z)" if bits else "xf = Identity(x)"}
            a = {first}(xf)
            {kept("a", bits)}
            {pad}
            {kept("d", bits)}
            {weight}
            e = {"Neg(df)" if read == "Neg" else "MatMul(df, wf)"}
            {"y = QuantizeLinear(e, sy, z)" if bits else "y = Identity(e)"}
        }}""")
    weights = np.random.default_rng(1).integers(-127, 128, (length, 20)).astype(np.int8)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    x = np.random.default_rng(0).standard_normal((8, 33)).astype(np.float32)
    if bits:
        x = np.clip(np.round(x / step) + zero, 0, 2 * zero - 1).astype(kind)
    return (
        run(model.SerializeToString(), {"x": x}).astype(float) - zero for run in (on_cpu, on_npu)
    )


same = True
for wrong, bits, first, pads, read, column in (
    (True, 0, "Relu", (0, 3), "Neg", False),
    (False, 0, "Neg", (0, 3), "Neg", False),
    (False, 0, "Relu", (3, 0), "Neg", False),
    (False, 0, "Relu", (0, 3), "Neg", True),
    (True, 0, "Relu", (0, 3), "MatMul", False),
    (True, 0, "Neg", (0, 3), "MatMul", False),
    (False, 0, "Relu", (0, 3), "MatMul", True),
    (True, 8, "Relu", (0, 3), "MatMul", False),
    (True, 8, "Neg", (0, 3), "MatMul", False),
    (False, 8, "Relu", (0, 3), "Neg", False),
    (False, 8, "Relu", (3, 0), "MatMul", False),
    (False, 8, "Relu", (0, 3), "MatMul", True),
    (True, 16, "Relu", (0, 3), "MatMul", False),
    (False, 16, "Relu", (3, 0), "MatMul", False),
):
    truth, values = padded(bits, first, pads, read, column)
    found = sqnr(truth, values)
    kind, form = f"{bits} bits" if bits else "fp16", ", as a column" if column else ""
    print(f"{kind}: {first}, Pad {pads[0]}, {pads[1]}{form}, {read}: {found:.1f} dB")
    same = same and (found < 20 if wrong else found > 35)
conclude(same)
EOF
