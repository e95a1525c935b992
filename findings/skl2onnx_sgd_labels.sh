#!/usr/bin/env bash
# skl2onnx takes an SGDClassifier's label from probabilities, scikit-learn from scores
#
# With more than two classes and `loss="log_loss"` or `"modified_huber"`, the label of scikit-learn
# is the class of the greatest decision value. The converted model takes the first of the greatest
# probabilities, of which several rows have two that are equal. On iris 5 and 12 % of the labels
# differ, while the probabilities agree. `hinge`, which has no probabilities, agrees.
#
# Versions: skl2onnx 1.20.0, scikit-learn 1.9.1, onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   log_loss: equal labels 0.953
#     greatest error of a probability 0.000000, two equal best ones in 8 rows
#   modified_huber: equal labels 0.880
#     greatest error of a probability 0.000000, two equal best ones in 34 rows
#   hinge: equal labels 1.000
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
from sklearn.datasets import load_iris
from sklearn.linear_model import SGDClassifier
from skl2onnx import to_onnx


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


x, y = load_iris(return_X_y=True)
x = x.astype(np.float32)
equal = {}
for loss in ("log_loss", "modified_huber", "hinge"):
    classifier = SGDClassifier(loss=loss, random_state=0).fit(x, y)
    model = to_onnx(classifier, x[:1])
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    labels, scores = session.run(None, {"X": x})
    equal[loss] = (labels == classifier.predict(x)).mean()
    print(f"{loss}: equal labels {equal[loss]:.3f}")
    if loss != "hinge":
        truth = classifier.predict_proba(x)
        found = np.array([[row[label] for label in classifier.classes_] for row in scores])
        second, first = np.sort(truth)[:, -2:].T
        print(
            f"  greatest error of a probability {np.abs(found - truth).max():.6f},"
            f" two equal best ones in {np.isclose(first, second, rtol=0, atol=1e-6).sum()} rows"
        )
conclude(equal["hinge"] == 1 and max(equal["log_loss"], equal["modified_huber"]) < 0.97)
EOF
