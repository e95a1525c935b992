#!/usr/bin/env bash
# onnxsim drops casts that narrow constant integers
#
# An initializer that goes through Cast to uint8, int8 or int32 and back to int64 keeps values that
# the narrow type does not have: 300 stays 300, where ONNX Runtime gives 44. Nothing is logged, and
# `simplify` returns True. A pair with a node between is right, and so is one from float to int64.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0, onnxsim 0.8.1;
# Python 3.11, x86_64 Linux.
# Seen:
#   int64 to uint8 and back: [255, 44, 3], simplified [-1, 300, 3], returned True
#   int64 to int8 and back: [-1, 44, 3], simplified [-1, 300, 3], returned True
#   int64 to int32 and back: [-1, 0, 3], simplified [-1, 1099511627776, 3], returned True
#   with an Abs between: [255, 44, 3], simplified [255, 44, 3], returned True
#   float to int64 and back: [-1.0, 300.0, 3.0], simplified [-1.0, 300.0, 3.0], returned True
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 onnxsim==0.8.1

"$work/venv/bin/python" <<'EOF'
import sys

import numpy as np
import onnx
import onnxruntime as ort
import onnxsim


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def run(model, feeds):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


def both(values, nodes):
    """What the model adds to zeros, as given and as simplified."""
    kind = "float" if values.dtype == np.float32 else "int64"
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        casts ({kind}[3] x) => ({kind}[3] y) {{ {nodes} y = Add(e, x) }}""")
    model.graph.initializer.append(onnx.numpy_helper.from_array(values, "k"))
    onnx.checker.check_model(model, full_check=True)
    zeros = np.zeros_like(values)
    simple, accepted = onnxsim.simplify(model)
    return run(model, {"x": zeros}).tolist(), run(simple, {"x": zeros}).tolist(), accepted


integers = np.array([-1, 300, 3])
long = np.array([-1, 2**40, 3])
fractions = np.array([-1.5, 300.75, 3], np.float32)
found = []
for case, values, nodes in (
    ("int64 to uint8 and back", integers, "d = Cast<to=2>(k) e = Cast<to=7>(d)"),
    ("int64 to int8 and back", integers, "d = Cast<to=3>(k) e = Cast<to=7>(d)"),
    ("int64 to int32 and back", long, "d = Cast<to=6>(k) e = Cast<to=7>(d)"),
    ("with an Abs between", integers, "d = Cast<to=2>(k) a = Abs(d) e = Cast<to=7>(a)"),
    ("float to int64 and back", fractions, "d = Cast<to=7>(k) e = Cast<to=1>(d)"),
):
    truth, simple, accepted = both(values, nodes)
    found.append((truth == simple, accepted))
    print(f"{case}: {truth}, simplified {simple}, returned {accepted}")
conclude(found == [(False, True)] * 3 + [(True, True)] * 2)
EOF
