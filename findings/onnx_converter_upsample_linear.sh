#!/usr/bin/env bash
# onnx.version_converter moves the samples of linear Upsample and Resize
#
# Upsample, and Resize of opset 10, take asymmetric coordinates: x / scale. Resize of opset 11 has
# them as an attribute, with `half_pixel` as default. The converter does not write the attribute, so
# that linear samples shift, by a quarter of a source sample at scale 2; the checker passes and
# nothing is logged.
# The nearest mode at scale 2 agrees, at 1.25 it does not. With `coordinate_transformation_mode`
# (and `nearest_mode="floor"`) added by hand, the values are those of before.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   Upsample, linear, scale 2: error 4.25, with the attributes 0.00
#   Upsample, nearest, scale 2: error 0.00, with the attributes 0.00
#   Upsample, nearest, scale 1.25: error 17.00, with the attributes 0.00
#   Resize, linear, scale 2: error 4.25, with the attributes 0.00
#   Resize, nearest, scale 2: error 0.00, with the attributes 0.00
#   Resize, nearest, scale 1.25: error 17.00, with the attributes 0.00
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0

"$work/venv/bin/python" - "$work" <<'EOF'
import sys

import numpy as np
import onnx
import onnxruntime as ort


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def run(model, x):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


x = np.arange(10, dtype=np.float32).reshape(1, 1, 1, 10) ** 2
error, mended = {}, {}
for opset, operator in ((9, "Upsample"), (10, "Resize")):
    for mode, scale in (("linear", 2), ("nearest", 2), ("nearest", 1.25)):
        model = onnx.parser.parse_model(f"""
            <ir_version: 5, opset_import: ["": {opset}]>
            one (float[1,1,1,10] x) => (float[1,1,1,{int(10 * scale)}] y)
            <float[4] s = {{1.0, 1.0, 1.0, {scale:.2f}}}> {{
                y = {operator}<mode="{mode}">(x, s)
            }}""")
        onnx.checker.check_model(model, full_check=True)
        converted = onnx.version_converter.convert_version(model, 13)
        onnx.checker.check_model(converted, full_check=True)
        case = f"{operator}, {mode}, scale {scale}"
        before = run(model, x)
        error[case] = np.abs(before - run(converted, x)).max()
        (node,) = (node for node in converted.graph.node if node.op_type == "Resize")
        for key, value in (
            ("coordinate_transformation_mode", "asymmetric"),
            ("nearest_mode", "floor"),
        ):
            node.attribute.append(onnx.helper.make_attribute(key, value))
        mended[case] = np.abs(before - run(converted, x)).max()
        print(f"{case}: error {error[case]:.2f}, with the attributes {mended[case]:.2f}")
conclude(
    all((value < 1e-5) == case.endswith("nearest, scale 2") for case, value in error.items())
    and max(mended.values()) < 1e-5
)
EOF
