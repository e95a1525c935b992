#!/usr/bin/env bash
# onnxconverter-common's float16 gives TopK's values, casts and unnamed nodes wrong types
#
# With `keep_io_types=True` the values of a TopK come out in float16, though they were a float
# output. A Cast from integers to float keeps `to=1`, where the tensor is declared as float16, and
# two unnamed nodes that read the input get two Casts of one name: ONNX Runtime refuses both models.
# All are valid before; `convert_float_to_float16` logs nothing. The same nodes with names, and a
# Relu in place of the Cast, are right.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0, onnxconverter-common 1.16.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   Relu: tensor(float)
#   TopK: tensor(float16) tensor(int64)
#   Cast to int64 and back: Fail
#   two readers, with names: tensor(float) tensor(float)
#   two readers, without names: Fail
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 onnxconverter-common==1.16.0

"$work/venv/bin/python" <<'EOF'
import sys

import onnx
import onnxruntime as ort
from onnxconverter_common.float16 import convert_float_to_float16

ort.set_default_logger_severity(4)


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def outputs(graph, named):
    """Element types of the outputs of the converted model, or the name of the error."""
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        layers {graph}""")
    if named:
        for number, node in enumerate(model.graph.node):
            node.name = f"node{number}"
    onnx.checker.check_model(model, full_check=True)
    half = convert_float_to_float16(model, keep_io_types=True)
    try:
        session = ort.InferenceSession(
            half.SerializeToString(), providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        return type(error).__name__
    return " ".join(output.type for output in session.get_outputs())


relu = "(float[4] x) => (float[4] y) { a = Relu(x) y = Relu(a) }"
topk = "(float[4] x) => (float[2] y, int64[2] i) <int64[1] k = {2}> { y, i = TopK(x, k) }"
casts = """(float[4] x) => (float[4] y) {
    a = Cast<to = 7>(x) b = Cast<to = 1>(a) y = Relu(b) }"""
readers = "(float[4] x) => (float[4] y, float[4] z) { y = Relu(x) z = Neg(x) }"
found = []
for name, graph, named in (
    ("Relu", relu, True),
    ("TopK", topk, True),
    ("Cast to int64 and back", casts, True),
    ("two readers, with names", readers, True),
    ("two readers, without names", readers, False),
):
    found.append(outputs(graph, named))
    print(f"{name}: {found[-1]}")
single, half = "tensor(float)", "tensor(float16)"
conclude(
    found[0] == single
    and found[1] == f"{half} tensor(int64)"
    and found[3] == f"{single} {single}"
    and not any("tensor" in found[i] for i in (2, 4))
)
EOF
