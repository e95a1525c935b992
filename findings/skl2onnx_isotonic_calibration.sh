#!/usr/bin/env bash
# skl2onnx loses the lines between the thresholds of an isotonic calibration
#
# CalibratedClassifierCV with `method="isotonic"` interpolates between the thresholds that it
# learned. The converted model gives the value of one threshold, so that probabilities are wrong by
# up to 0.27, and some labels differ. Nothing is logged. With `method="sigmoid"` it agrees.
#
# Versions: skl2onnx 1.20.0, scikit-learn 1.9.1, onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   isotonic, LogisticRegression: greatest error 0.2332, equal labels 0.993
#   sigmoid, LogisticRegression: greatest error 0.0000, equal labels 1.000
#   isotonic, LinearSVC: greatest error 0.2748, equal labels 1.000
#   sigmoid, LinearSVC: greatest error 0.0000, equal labels 1.000
#   isotonic, RandomForestClassifier: greatest error 0.1204, equal labels 0.987
#   sigmoid, RandomForestClassifier: greatest error 0.0000, equal labels 1.000
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
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from skl2onnx import to_onnx


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


x, y = load_iris(return_X_y=True)
x = x.astype(np.float32)
error = {}
for estimator in (
    LogisticRegression(max_iter=1000),
    LinearSVC(random_state=0),
    RandomForestClassifier(10, random_state=0),
):
    for method in ("isotonic", "sigmoid"):
        calibrated = CalibratedClassifierCV(estimator, method=method, cv=3).fit(x, y)
        model = to_onnx(calibrated, x[:1], options={"zipmap": False})
        session = ort.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        labels, probabilities = session.run(None, {"X": x})
        equal = (labels == calibrated.predict(x)).mean()
        name = f"{method}, {type(estimator).__name__}"
        error[name] = np.abs(probabilities - calibrated.predict_proba(x)).max()
        print(f"{name}: greatest error {error[name]:.4f}, equal labels {equal:.3f}")
conclude(all((value > 0.05) == name.startswith("isotonic") for name, value in error.items()))
EOF
