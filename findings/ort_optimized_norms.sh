#!/usr/bin/env bash
# ONNX Runtime saves normalizations that it fused under ONNX's domain, where ONNX has none
#
# A model saved at ORT_ENABLE_EXTENDED holds other fused operators in the domain com.microsoft, as
# documented. A normalization without a mean becomes SimplifiedLayerNormalization in ONNX's own
# domain, which has no such operator, and one with a mean becomes LayerNormalization under the
# opset that the model has, which may be older than that operator (17). ONNX's checker refuses both
# files, as do tools that look operators up there; ONNX Runtime itself runs them. At ORT_ENABLE_BASIC
# nothing is fused, and a fused MatMul is in com.microsoft and passes.
#
# Versions: onnxruntime 1.32.0, onnx 1.23.2;
# Python 3.11, x86_64 Linux.
# Seen:
#   root mean square, opset 18, basic: standard operators only, checked
#   root mean square, opset 18, extended: SimplifiedLayerNormalization of '', refused
#   mean and variance, opset 13, basic: standard operators only, checked
#   mean and variance, opset 13, extended: LayerNormalization of '', refused
#   transposed product, opset 13, extended: FusedMatMul of 'com.microsoft', checked
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0

"$work/venv/bin/python" - "$work" <<'EOF'
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

work = Path(sys.argv[1])
AXES = {13: ("<axes = [-1]> ({x})",), 18: ("({x}, last)",)}
RMS = """p = Pow (x, two) m = ReduceMean{mean_p} v = Add (m, e) r = Sqrt (v) d = Div (x, r)
    y = Mul (scale, d)"""
NORM = """m = ReduceMean{mean_x} d = Sub (x, m) p = Pow (d, two) q = ReduceMean{mean_p}
    v = Add (q, e) r = Sqrt (v) n = Div (d, r) s = Mul (n, scale) y = Add (s, bias)"""
PRODUCT = "t = Transpose <perm = [0, 2, 1]> (x) y = MatMul (x, t)"
FUSED = ("SimplifiedLayerNormalization", "LayerNormalization", "FusedMatMul")


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def saved(body, opset, level):
    """The operator that was fused, with its domain, and what ONNX's checker says of the file."""
    means = {f"mean_{x}": AXES[opset][0].format(x=x) for x in "xp"}
    vectors = ", ".join(["1"] * 8)
    model = onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["": {opset}]>
        one (float[1,4,8] x) => (float[1,4,N] y) <float two = {{2}}, float e = {{0.00001}},
        int64[1] last = {{-1}}, float[8] scale = {{{vectors}}}, float[8] bias = {{{vectors}}}>
        {{ {body.format(**means)} }}""")
    onnx.checker.check_model(model, full_check=True)
    options, file = ort.SessionOptions(), work / "saved.onnx"
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
    options.optimized_model_filepath, options.log_severity_level = str(file), 3
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    x = np.random.default_rng(0).normal(size=(1, 4, 8)).astype(np.float32)
    again = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    first, second = (one.run(None, {"x": x})[0] for one in (session, again))
    np.testing.assert_allclose(second, first, rtol=1e-5, atol=1e-6)
    result = onnx.load(file)
    fused = [f"{n.op_type} of {n.domain!r}" for n in result.graph.node if n.op_type in FUSED]
    try:
        onnx.checker.check_model(result)
        checked = "checked"
    except onnx.checker.ValidationError:
        checked = "refused"
    return f"{', '.join(fused) or 'standard operators only'}, {checked}"


EXPECTED = {
    ("root mean square", RMS, 18, "BASIC"): "standard operators only, checked",
    ("root mean square", RMS, 18, "EXTENDED"): "SimplifiedLayerNormalization of '', refused",
    ("mean and variance", NORM, 13, "BASIC"): "standard operators only, checked",
    ("mean and variance", NORM, 13, "EXTENDED"): "LayerNormalization of '', refused",
    ("transposed product", PRODUCT, 13, "EXTENDED"): "FusedMatMul of 'com.microsoft', checked",
}
same = True
for (name, body, opset, level), expected in EXPECTED.items():
    found = saved(body, opset, level)
    print(f"{name}, opset {opset}, {level.lower()}: {found}")
    same &= found == expected
conclude(same)
EOF
