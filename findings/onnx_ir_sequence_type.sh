#!/usr/bin/env bash
# onnx_ir's ShapeInferencePass gives a sequence the type of its elements
#
# ONNX's inference says seq(tensor(float)) for the output of SequenceConstruct; the pass, which
# reads the types back from there, writes tensor(float), and so for optional values. ONNX Runtime
# refuses the result of a valid model. A round trip through onnx_ir without the pass keeps the type.
#
# Versions: onnx-ir 1.1.0, onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   sequence, inferred by onnx: sequence_type, gives (2, 3)
#   sequence, read and written: sequence_type, gives (2, 3)
#   sequence, pass: tensor_type, refused, expected type (seq(tensor(float))).
#   optional, inferred by onnx: optional_type, gives (2, 3)
#   optional, read and written: optional_type, gives (2, 3)
#   optional, pass: tensor_type, refused, expected type (optional(tensor(float))).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 onnx-ir==1.1.0

"$work/venv/bin/python" - "$work" <<'EOF'
import sys

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
from onnx_ir.passes.common import ShapeInferencePass


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def outcome(model):
    """What ONNX Runtime makes of the model, and the kind of type of the value `s`."""
    (info,) = (info for info in model.graph.value_info if info.name == "s")
    try:
        session = ort.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        y = session.run(None, {"x": np.ones((2, 3), np.float32)})[0]
        result = f"gives {y.shape}"
    except Exception as error:
        result = f"refused, {str(error).rpartition('does not match ')[2]}"
    return info.type.WhichOneof("value"), result


same = True
for name, body in (
    ("sequence", "i = Constant<value_int=0>() s = SequenceConstruct(x, x) y = SequenceAt(s, i)"),
    ("optional", "s = Optional(x) y = OptionalGetElement(s)"),
):
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        one (float[2,3] x) => (float[2,3] y) {{ {body} }}""")
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model)
    alone = ir.serde.serialize_model(ir.serde.deserialize_model(inferred))
    passed = ir.serde.serialize_model(ShapeInferencePass()(ir.serde.deserialize_model(model)).model)
    found = {}
    results = {"inferred by onnx": inferred, "read and written": alone, "pass": passed}
    for case, result in results.items():
        found[case] = outcome(result)
        print(f"{name}, {case}: {found[case][0]}, {found[case][1]}")
    same &= found["pass"][0] == "tensor_type" and found["pass"][1].startswith("refused")
    for case in ("inferred by onnx", "read and written"):
        same &= found[case] == (f"{name}_type", "gives (2, 3)")
conclude(same)
EOF
