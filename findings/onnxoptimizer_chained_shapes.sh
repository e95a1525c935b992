#!/usr/bin/env bash
# onnxoptimizer joins Reshapes and Squeezes to other shapes
#
# Of two Reshapes it keeps the second one, whose 0 then copies a size of another tensor: [2, 3, 4]
# by way of [3, 2, 4] to [0, -1] is [3, 8], and [2, 12] when optimized. Two Squeezes of axes -1 and
# -2 become one of other axes, which ONNX Runtime refuses. A Transpose without `perm` in front of a
# Gemm raises an error, as if the attribute were required. The checker passes all three; with sizes,
# axes and `perm` written out they are right.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0, onnxoptimizer 0.4.2;
# Python 3.11, x86_64 Linux.
# Seen:
#   Reshape, [0, -1]: (3, 8), optimized (2, 12)
#   Reshape, [3, 8]: (3, 8), optimized (3, 8)
#   Squeeze, -1 and -2: (1, 2, 3), optimized Fail
#   Squeeze, 4 and 2: (1, 2, 3), optimized (1, 2, 3)
#   Transpose and Gemm: (3, 5), optimized RuntimeError
#   perm written out: (3, 5), optimized (3, 5)
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 onnxoptimizer==0.4.2

"$work/venv/bin/python" <<'EOF'
import sys

import numpy as np
import onnx
import onnxoptimizer
import onnxruntime as ort


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def run(model, x):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": x})[0].shape


def shapes(given, result, nodes, constants):
    """The shape of the result, and that of the optimized model, or the name of its error."""
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        chain (float{given} x) => (float{result} y) {{ {nodes} }}""")
    for name, values in constants.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(values), name))
    onnx.checker.check_model(model, full_check=True)
    x = np.ones(given, np.float32)
    try:
        return run(model, x), run(onnxoptimizer.optimize(model), x)
    except Exception as error:
        return run(model, x), type(error).__name__


def chain(operator, first, second):
    return f"a = {operator}(x, s1) y = {operator}(a, s2)", {"s1": first, "s2": second}


weights = {"w": np.ones((4, 5), np.float32)}
cases = {
    "Reshape, [0, -1]": ([2, 3, 4], [3, 8], *chain("Reshape", [3, 2, 4], [0, -1])),
    "Reshape, [3, 8]": ([2, 3, 4], [3, 8], *chain("Reshape", [3, 2, 4], [3, 8])),
    "Squeeze, -1 and -2": ([1, 2, 1, 3, 1], [1, 2, 3], *chain("Squeeze", [-1], [-2])),
    "Squeeze, 4 and 2": ([1, 2, 1, 3, 1], [1, 2, 3], *chain("Squeeze", [4], [2])),
    "Transpose and Gemm": ([4, 3], [3, 5], "t = Transpose(x) y = Gemm(t, w)", weights),
    "perm written out": (
        [4, 3], [3, 5], "t = Transpose<perm = [1, 0]>(x) y = Gemm(t, w)", weights,
    ),
}
same = []
for name, case in cases.items():
    truth, found = shapes(*case)
    same.append(truth == found)
    print(f"{name}: {truth}, optimized {found}")
conclude(same == [False, True, False, True, False, True])
EOF
