#!/usr/bin/env bash
# skl2onnx's SimpleImputer has other columns than scikit-learn's
#
# With `add_indicator=True` scikit-learn adds a column for each feature that has missing values: 4
# features become 8 columns, in the converted model 4. A feature without any value is dropped by
# scikit-learn, which warns, and stays in the converted model, as NaN. Nothing is logged when
# converting; what is behind the imputer in a pipeline reads other columns. Without both, the values
# agree.
#
# Versions: skl2onnx 1.20.0, scikit-learn 1.9.1, onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   plain: scikit-learn 4 columns, ONNX 4, of which with NaN 0
#   add_indicator: scikit-learn 8 columns, ONNX 4, of which with NaN 0
#   a feature without values: scikit-learn 3 columns, ONNX 4, of which with NaN 1
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 \
    scikit-learn==1.9.1 skl2onnx==1.20.0

"$work/venv/bin/python" <<'EOF'
import sys
import warnings

import numpy as np
import onnxruntime as ort
from sklearn.impute import SimpleImputer
from skl2onnx import to_onnx

warnings.filterwarnings("ignore", "Skipping features without any observed values")


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


random = np.random.default_rng(0)
x = random.standard_normal((100, 4)).astype(np.float32)
x[random.random(x.shape) < 0.2] = np.nan
without = x.copy()
without[:, 1] = np.nan
found = {}
for name, imputer, rows in (
    ("plain", SimpleImputer(), x),
    ("add_indicator", SimpleImputer(add_indicator=True), x),
    ("a feature without values", SimpleImputer(), without),
):
    truth = imputer.fit_transform(rows)
    model = to_onnx(imputer, rows[:1])
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"X": rows})
    found[name] = truth.shape[1], y.shape[1]
    print(
        f"{name}: scikit-learn {truth.shape[1]} columns, ONNX {y.shape[1]},"
        f" of which with NaN {np.isnan(y).any(axis=0).sum()}"
    )
    if name == "plain":
        error = np.abs(truth - y).max()
conclude(list(found.values()) == [(4, 4), (8, 4), (3, 4)] and error < 1e-6)
EOF
