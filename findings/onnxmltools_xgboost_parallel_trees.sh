#!/usr/bin/env bash
# onnxmltools gives trees of XGBoost's num_parallel_tree to other classes
#
# XGBoost writes the parallel trees of a class next to each other. The converter gives tree after
# tree to the classes in turn: probabilities are wrong by 0.4, and labels differ. For two classes it
# writes as many base values as there are parallel trees, which ONNX Runtime refuses.
# XGBRFClassifier, a forest of parallel trees, is struck with three classes. Regression, and one
# tree at a time, agree.
#
# Versions: xgboost-cpu 3.2.0, scikit-learn 1.9.1, onnxmltools 1.16.0, onnx 1.23.2, onnxruntime
# 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   three classes: greatest error of a probability 0.000000, equal labels 1.000
#   three classes, 4 trees: greatest error of a probability 0.438660, equal labels 0.980
#   three classes, forest: greatest error of a probability 0.449909, equal labels 0.973
#   two classes: greatest error of a probability 0.000000, equal labels 1.000
#   two classes, 4 trees: refused: base_values should have 0, 1, or 2 values.
#   regression: greatest error, of the greatest value 0.000000
#   regression, 4 trees: greatest error, of the greatest value 0.000000
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 \
    xgboost-cpu==3.2.0 scikit-learn==1.9.1 onnxmltools==1.16.0

"$work/venv/bin/python" <<'EOF'
import sys

import numpy as np
import onnxruntime as ort
import xgboost
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

ort.set_default_logger_severity(4)


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


parallel = {"num_parallel_tree": 4, "subsample": 0.5}
seen = {}
for name, load, kind, parameters in (
    ("three classes", load_iris, xgboost.XGBClassifier, {}),
    ("three classes, 4 trees", load_iris, xgboost.XGBClassifier, parallel),
    ("three classes, forest", load_iris, xgboost.XGBRFClassifier, {}),
    ("two classes", load_breast_cancer, xgboost.XGBClassifier, {}),
    ("two classes, 4 trees", load_breast_cancer, xgboost.XGBClassifier, parallel),
    ("regression", load_diabetes, xgboost.XGBRegressor, {}),
    ("regression, 4 trees", load_diabetes, xgboost.XGBRegressor, parallel),
):
    x, y = load(return_X_y=True)
    x = x.astype(np.float32)
    trees = kind(n_estimators=10, random_state=0, n_jobs=1, **parameters).fit(x, y)
    model = convert_xgboost(trees, initial_types=[("x", FloatTensorType([None, x.shape[1]]))])
    try:
        session = ort.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        seen[name] = "refused: " + str(error).strip().rpartition("was false. ")[2]
        print(f"{name}: {seen[name]}")
        continue
    outputs = session.run(None, {"x": x})
    if hasattr(trees, "predict_proba"):
        seen[name] = np.abs(outputs[1] - trees.predict_proba(x)).max()
        equal = (outputs[0] == trees.predict(x)).mean()
        print(f"{name}: greatest error of a probability {seen[name]:.6f}, equal labels {equal:.3f}")
    else:
        truth = trees.predict(x)
        seen[name] = np.abs(outputs[0].ravel() - truth).max() / np.abs(truth).max()
        print(f"{name}: greatest error, of the greatest value {seen[name]:.6f}")
refused = seen.pop("two classes, 4 trees")
wrong = [seen.pop("three classes, 4 trees"), seen.pop("three classes, forest")]
conclude(isinstance(refused, str) and min(wrong) > 0.1 and max(seen.values()) < 1e-4)
EOF
