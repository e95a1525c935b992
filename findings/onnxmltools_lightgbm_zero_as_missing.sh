#!/usr/bin/env bash
# onnxmltools drops LightGBM's zero_as_missing
#
# With `zero_as_missing=True` LightGBM sends 0 to the side that it learned for missing values. The
# converted trees compare 0 like any number: a ninth of the labels differ. Nothing is logged. Rows
# with NaN in place of 0 agree, and so does a model without the option.
#
# Versions: lightgbm 4.7.0, scikit-learn 1.9.1, onnxmltools 1.16.0, onnx 1.23.2, onnxruntime
# 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   zero_as_missing=True, rows with 0: equal labels 0.886
#   zero_as_missing=True, rows with NaN: equal labels 1.000
#   zero_as_missing=False, rows with 0: equal labels 1.000
#   zero_as_missing=False, rows with NaN: equal labels 1.000
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 \
    lightgbm==4.7.0 scikit-learn==1.9.1 onnxmltools==1.16.0

"$work/venv/bin/python" <<'EOF'
import sys

import lightgbm
import numpy as np
import onnxruntime as ort
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer

ort.set_default_logger_severity(3)


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


x, y = load_breast_cancer(return_X_y=True)
x = np.where(np.random.default_rng(0).random(x.shape) < 0.3, 0, x).astype(np.float32)
equal = {}
for option in (True, False):
    trees = lightgbm.LGBMClassifier(
        n_estimators=20, zero_as_missing=option, random_state=0, n_jobs=1, verbose=-1
    ).fit(x, y)
    model = convert_lightgbm(trees, initial_types=[("x", FloatTensorType([None, 30]))])
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for name, rows in (("0", x), ("NaN", np.where(x == 0, np.float32(np.nan), x))):
        equal[option, name] = (session.run(None, {"x": rows})[0] == trees.predict(rows)).mean()
        print(f"zero_as_missing={option}, rows with {name}: equal labels {equal[option, name]:.3f}")
conclude(all((value < 0.95) == (case == (True, "0")) for case, value in equal.items()))
EOF
