#!/usr/bin/env bash
# onnxmltools converts XGBoost with several targets or reg:logistic to other values
#
# Of two targets the second is 0 for all rows, and the first is wrong. With the objective
# `reg:logistic` the model gives numbers outside of 0 to 1, as the sigmoid is not written. Nothing
# is logged. One target with squared errors agrees, and so does `count:poisson`, whose exponential
# is written.
#
# Versions: xgboost-cpu 3.2.0, scikit-learn 1.9.1, onnxmltools 1.16.0, onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   one target: XGBoost gives 0.74, ONNX 0.74, greatest error 0.000000
#   poisson: XGBoost gives 0.71, ONNX 0.71, greatest error 0.000000
#   two targets: XGBoost gives [0.74 1.49], ONNX [1.46 0.  ], greatest error 1.864985
#   logistic: XGBoost gives 0.73, ONNX 1.85, greatest error 1.793202
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 \
    xgboost-cpu==3.2.0 scikit-learn==1.9.1 onnxmltools==1.16.0

"$work/venv/bin/python" - "$work" <<'EOF'
import sys

import numpy as np
import onnxruntime as ort
import xgboost
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.datasets import load_diabetes


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


x, y = load_diabetes(return_X_y=True)
x = x.astype(np.float32)
y = (y - y.min()) / (y.max() - y.min())
error = {}
for name, objective, targets in (
    ("one target", "reg:squarederror", y),
    ("poisson", "count:poisson", y),
    ("two targets", "reg:squarederror", np.stack([y, 2 * y], 1)),
    ("logistic", "reg:logistic", y),
):
    booster = xgboost.XGBRegressor(
        objective=objective, n_estimators=20, random_state=0, n_jobs=1
    ).fit(x[:300], targets[:300])
    model = convert_xgboost(booster, initial_types=[("x", FloatTensorType([None, 10]))])
    options = ort.SessionOptions()
    options.log_severity_level = 3  # the warning about the shape of two targets
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    predicted = booster.predict(x[300:])
    converted = session.run(None, {"x": x[300:]})[0].reshape(predicted.shape)
    error[name] = np.abs(converted - predicted).max()
    print(
        f"{name}: XGBoost gives {np.array2string(predicted[0], precision=2)},"
        f" ONNX {np.array2string(converted[0], precision=2)}, greatest error {error[name]:.6f}"
    )
conclude(
    max(error["one target"], error["poisson"]) < 1e-4
    and min(error["two targets"], error["logistic"]) > 0.5
)
EOF
