#!/usr/bin/env bash
# skl2onnx drops the weights of nearest neighbours
#
# With `weights="distance"` scikit-learn weighs neighbours by the reciprocal of their distance, and
# answers a row that it was fitted with by its own value. The converted models answer the plain mean
# of the neighbours, or the class that most of them have. Nothing is logged. Uniform weights agree.
#
# Versions: skl2onnx 1.20.0, scikit-learn 1.9.1, onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   distance weights, other rows: greatest error 0.8716, from the mean 0.0000, equal labels 0.845
#   distance weights, known rows: greatest error 2.8292, from the mean 0.0000, equal labels 0.745
#   uniform weights, other rows: greatest error 0.0000, from the mean 0.0000, equal labels 1.000
#   uniform weights, known rows: greatest error 0.0000, from the mean 0.0000, equal labels 1.000
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
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from skl2onnx import to_onnx


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def run(estimator, x):
    model = to_onnx(estimator, x[:1])
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"X": x})[0].ravel()


random = np.random.default_rng(0)
rows, others = random.standard_normal((2, 200, 3)).astype(np.float32)
values = random.standard_normal(200).astype(np.float32)
error, from_mean = {}, {}
mean = KNeighborsRegressor(4).fit(rows, values)
for weights in ("distance", "uniform"):
    regressor = KNeighborsRegressor(4, weights=weights).fit(rows, values)
    classifier = KNeighborsClassifier(4, weights=weights).fit(rows, (values > 0).astype(int))
    for name, x in (("other", others), ("known", rows)):
        found = run(regressor, x)
        error[weights, name] = np.abs(found - regressor.predict(x)).max()
        from_mean[weights, name] = np.abs(found - mean.predict(x)).max()
        equal = (run(classifier, x) == classifier.predict(x)).mean()
        print(
            f"{weights} weights, {name} rows: greatest error {error[weights, name]:.4f},"
            f" from the mean {from_mean[weights, name]:.4f}, equal labels {equal:.3f}"
        )
conclude(
    all((value > 0.1) == (case[0] == "distance") for case, value in error.items())
    and max(from_mean.values()) < 1e-4
)
EOF
