#!/usr/bin/env bash
# NNCF fails on a Gemm with transA, and with a weight behind a Transpose
#
# With its default settings `nncf.quantize` ends in an IndexError in its bias correction if a Gemm
# with a bias has transA=1; with `fast_bias_correction=False` it is quantized. With
# ModelType.TRANSFORMER a MatMul whose constant weight goes through a Transpose ends in an
# AttributeError. No node is named. Without transA, and without the Transpose, both are quantized.
#
# Versions: onnx 1.23.2, onnxruntime 1.32.0, nncf 3.4.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   Gemm: 44.8 dB
#   Gemm, transA: IndexError
#   Gemm, transA, exact bias correction: 16.0 dB
#   MatMul, transformer: 41.3 dB
#   Transpose of w: 43.5 dB
#   Transpose of w, transformer: AttributeError
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 nncf==3.4.0

"$work/venv/bin/python" <<'EOF'
import logging
import sys

import nncf
import numpy as np
import onnx
import onnxruntime as ort

logging.disable(logging.WARNING)
random = np.random.default_rng(0)


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def run(model, sample):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, sample)[0]


def quantized(sizes, nodes, weights, **options):
    """SQNR in dB of the quantized model on one of its samples, or the name of the error."""
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        layer (float{sizes} x) => (float[3,5] y) {{ {nodes} }}""")
    for name, shape in (("w", weights), ("b", (5,)))[: 1 + ("Gemm" in nodes)]:
        values = random.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    for number, node in enumerate(model.graph.node):
        node.name = f"node{number}"
    onnx.checker.check_model(model, full_check=True)
    samples = [{"x": random.standard_normal(sizes).astype(np.float32)} for _ in range(8)]
    truth = run(model, samples[0])
    try:
        found = run(nncf.quantize(model, nncf.Dataset(samples), **options), samples[0])
    except (AttributeError, IndexError) as error:
        return type(error).__name__
    return float(10 * np.log10(np.square(truth).sum() / np.square(truth - found).sum()))


transformer = {"model_type": nncf.ModelType.TRANSFORMER}
found = []
for name, *case, options in (
    ("Gemm", [3, 4], "y = Gemm(x, w, b)", (4, 5), {}),
    ("Gemm, transA", [4, 3], "y = Gemm<transA = 1>(x, w, b)", (4, 5), {}),
    (
        "Gemm, transA, exact bias correction", [4, 3], "y = Gemm<transA = 1>(x, w, b)", (4, 5),
        {"fast_bias_correction": False},
    ),
    ("MatMul, transformer", [3, 4], "y = MatMul(x, w)", (4, 5), transformer),
    ("Transpose of w", [3, 4], "t = Transpose(w) y = MatMul(x, t)", (5, 4), {}),
    (
        "Transpose of w, transformer", [3, 4], "t = Transpose(w) y = MatMul(x, t)", (5, 4),
        transformer,
    ),
):
    found.append(quantized(*case, **options))
    print(f"{name}: {found[-1] if isinstance(found[-1], str) else f'{found[-1]:.1f} dB'}")
failed = [isinstance(outcome, str) for outcome in found]
conclude(failed == [False, True, False, False, False, True])
EOF
