#!/usr/bin/env bash
# CatBoost's own ONNX export loses labels, links and thresholds
#
# A classifier of the labels 5 and 9 answers 0 and 1 (its probabilities have the right keys); with
# three classes the labels are right. `Poisson` and `Tweedie` leave out the exponential,
# `MultiClassOneVsAll` has other probabilities, as they sum to 1, and a threshold of
# `set_probability_threshold` is not written. Nothing is logged. RMSE, and two classes named 0 and
# 1, agree.
#
# Versions: catboost 1.2.10, scikit-learn 1.9.1, onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   labels 0 and 1: equal labels 1.000, greatest error of a probability 0.0000
#   labels 5 and 9: equal labels 0.000, greatest error of a probability 0.0000
#   threshold 0.9: equal labels 0.993, greatest error of a probability 0.0000
#   labels 5, 7 and 9: equal labels 1.000, greatest error of a probability 0.0000
#   MultiClassOneVsAll: equal labels 1.000, greatest error of a probability 0.1667
#   RMSE: CatBoost gives 204.974, ONNX 204.974
#   Poisson: CatBoost gives 234.400, ONNX 5.457, whose exponential is 234.400
#   Tweedie:variance_power=1.5: CatBoost gives 3.238, ONNX 1.175, whose exponential is 3.238
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 \
    catboost==1.2.10 scikit-learn==1.9.1

"$work/venv/bin/python" - "$work" <<'EOF'
import sys

import numpy as np
import onnxruntime as ort
from catboost import CatBoostClassifier, CatBoostRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

ort.set_default_logger_severity(3)


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def fitted(kind, x, y, loss):
    options = {"iterations": 20, "thread_count": 1, "random_seed": 0, "verbose": False}
    return kind(loss_function=loss, allow_writing_files=False, **options).fit(x, y)


def run(model, x):
    path = f"{sys.argv[1]}/model.onnx"
    model.save_model(path, format="onnx")
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"features": x})


same = {}
two, of_two = load_breast_cancer(return_X_y=True)
three, of_three = load_iris(return_X_y=True)
for name, x, y, loss, threshold in (
    ("labels 0 and 1", two, of_two, "Logloss", None),
    ("labels 5 and 9", two, np.where(of_two, 9, 5), "Logloss", None),
    ("threshold 0.9", two, of_two, "Logloss", 0.9),
    ("labels 5, 7 and 9", three, 5 + 2 * of_three, "MultiClass", None),
    ("MultiClassOneVsAll", three, of_three, "MultiClassOneVsAll", None),
):
    x = x.astype(np.float32)
    model = fitted(CatBoostClassifier, x, y, loss)
    if threshold:
        model.set_probability_threshold(threshold)
    labels, rows = run(model, x)
    equal = (labels == model.predict(x).ravel()).mean()
    found = [[row[label] for label in model.classes_] for row in rows]
    error = np.abs(found - model.predict_proba(x)).max()
    same[name] = equal == 1 and error < 1e-4
    print(f"{name}: equal labels {equal:.3f}, greatest error of a probability {error:.4f}")
x, y = load_diabetes(return_X_y=True)
x = x.astype(np.float32)
for loss in ("RMSE", "Poisson", "Tweedie:variance_power=1.5"):
    model = fitted(CatBoostRegressor, x, y, loss)
    truth, found = model.predict(x), run(model, x)[0].ravel()
    same[loss] = np.allclose(truth, found, rtol=1e-4)
    exponential = "" if same[loss] else f", whose exponential is {np.exp(found[0]):.3f}"
    print(f"{loss}: CatBoost gives {truth[0]:.3f}, ONNX {found[0]:.3f}{exponential}")
conclude([name for name in same if same[name]] == ["labels 0 and 1", "labels 5, 7 and 9", "RMSE"])
EOF
