#!/usr/bin/env bash
# onnxmltools declares one label for a LightGBM classifier that gives one a row
#
# The input is [None, 4] and the output `label` is declared [1]. ONNX Runtime warns and gives as
# many labels as rows; whoever allocates by the declared shape, or freezes the batch, is misled.
# The checker of onnx passes. The probabilities are declared [None, 2], as they are.
#
# Versions: onnxmltools 1.16.0, lightgbm 4.7.0, onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   label: declared [1], given [200] for 200 rows
#   probabilities: declared [None, 2], given [200, 2] for 200 rows
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 lightgbm==4.7.0 scikit-learn==1.9.1 \
    onnxmltools==1.16.0

"$work/venv/bin/python" - "$work" <<'EOF'
import sys

import lightgbm
import numpy as np
import onnx
import onnxruntime as ort
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


random = np.random.default_rng(0)
x = random.standard_normal((200, 4)).astype(np.float32)
booster = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1).fit(
    x, (x[:, 0] > 0).astype(int)
)
model = convert_lightgbm(booster, initial_types=[("x", FloatTensorType([None, 4]))], zipmap=False)
onnx.checker.check_model(model)
options = ort.SessionOptions()
options.log_severity_level = 3  # the warning about the shape
session = ort.InferenceSession(
    model.SerializeToString(), options, providers=["CPUExecutionProvider"]
)
declared = {output.name: output.shape for output in session.get_outputs()}
found = {name: list(value.shape) for name, value in zip(declared, session.run(None, {"x": x}))}
for name in declared:
    print(f"{name}: declared {declared[name]}, given {found[name]} for {len(x)} rows")
conclude(
    declared["label"] == [1]
    and found["label"] == [200]
    and declared["probabilities"] == [None, 2]
    and found["probabilities"] == [200, 2]
)
EOF
