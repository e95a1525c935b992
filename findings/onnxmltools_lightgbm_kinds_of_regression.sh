#!/usr/bin/env bash
# onnxmltools converts LightGBM with reg_sqrt, rf or linear_tree to other values
#
# `reg_sqrt` (the sum is squared), `linear_tree` (leaves are linear functions) and
# `boosting_type="rf"` (the mean of the trees) convert without a word: the first two as if they were
# not set, and the sum of the trees of `rf` is divided by 100, whatever their number (20 here).
# Plain and DART boosting agree.
#
# Versions: lightgbm 4.7.0, scikit-learn 1.9.1, onnxmltools 1.16.0, onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   plain: LightGBM gives 238.7, ONNX 238.7, greatest error 0.0000
#   dart: LightGBM gives 172.4, ONNX 172.4, greatest error 0.0000
#   reg_sqrt: LightGBM gives 232.5, ONNX 15.2, greatest error 243.1104
#   linear_tree: LightGBM gives 230.0, ONNX 224.6, greatest error 81.9342
#   rf: LightGBM gives 231.0, ONNX 46.2, greatest error 199.3536
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 \
    lightgbm==4.7.0 scikit-learn==1.9.1 onnxmltools==1.16.0

"$work/venv/bin/python" - "$work" <<'EOF'
import sys

import lightgbm
import numpy as np
import onnxruntime as ort
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.datasets import load_diabetes


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


x, y = load_diabetes(return_X_y=True)
x = x.astype(np.float32)
error = {}
for name, options in (
    ("plain", {}),
    ("dart", {"boosting_type": "dart"}),
    ("reg_sqrt", {"reg_sqrt": True}),
    ("linear_tree", {"linear_tree": True}),
    ("rf", {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}),
):
    booster = lightgbm.LGBMRegressor(
        n_estimators=20, random_state=0, n_jobs=1, verbose=-1, **options
    ).fit(x[:300], y[:300])
    model = convert_lightgbm(booster, initial_types=[("x", FloatTensorType([None, 10]))])
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    converted = session.run(None, {"x": x[300:]})[0].ravel()
    predicted = booster.predict(x[300:])
    error[name] = np.abs(converted - predicted).max()
    print(
        f"{name}: LightGBM gives {predicted[0]:.1f}, ONNX {converted[0]:.1f},"
        f" greatest error {error[name]:.4f}"
    )
conclude(
    max(error["plain"], error["dart"]) < 0.01
    and min(error["reg_sqrt"], error["linear_tree"], error["rf"]) > 10
)
EOF
