#!/usr/bin/env bash
# skl2onnx divides by the maximum where scikit-learn divides by the largest magnitude
#
# Normalizer(norm="max") of scikit-learn divides each row by the largest of its absolute values. The
# converted Normalizer of ONNX has the mode MAX, for which ONNX Runtime takes the maximum itself:
# rows of negative numbers change their sign, and those with a small maximum become large. Rows
# above zero agree, and so do l1 and l2.
#
# Versions: skl2onnx 1.20.0, scikit-learn 1.9.1, onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   max, mixed signs: greatest error 129.7928
#   max, above zero: greatest error 0.0000
#   l1, mixed signs: greatest error 0.0000
#   l1, above zero: greatest error 0.0000
#   l2, mixed signs: greatest error 0.0000
#   l2, above zero: greatest error 0.0000
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 \
    scikit-learn==1.9.1 skl2onnx==1.20.0

"$work/venv/bin/python" <<'EOF'
import sys

import numpy as np
import onnxruntime as ort
from sklearn.preprocessing import Normalizer
from skl2onnx import to_onnx


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


rows = np.random.default_rng(0).standard_normal((100, 4)).astype(np.float32)
error = {}
for norm in ("max", "l1", "l2"):
    for name, x in (("mixed signs", rows), ("above zero", np.abs(rows))):
        normalizer = Normalizer(norm).fit(x)
        model = to_onnx(normalizer, x[:1])
        session = ort.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        truth, found = normalizer.transform(x), session.run(None, {"X": x})[0]
        error[norm, name] = np.abs(truth - found).max()
        print(f"{norm}, {name}: greatest error {error[norm, name]:.4f}")
conclude(all((value > 0.5) == (case == ("max", "mixed signs")) for case, value in error.items()))
EOF
