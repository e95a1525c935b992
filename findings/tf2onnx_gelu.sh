#!/usr/bin/env bash
# tf2onnx writes operators that ONNX does not have for GELU
#
# A Keras layer with activation="gelu" becomes Erfc by `from_keras`, and of its TFLite model
# TFL_GELU by `from_tflite`, both in the domain of ONNX itself. Neither exists; tf2onnx logs an error
# for the first, none for the second, and returns both models. ONNX Runtime refuses to load them.
# The same network with activation="relu" converts both ways and runs.
#
# Versions: tf2onnx 1.17.0, tensorflow-cpu 2.21.0, onnx 1.23.2, onnxruntime 1.32.0;
# Python 3.11, x86_64 Linux.
# Seen:
#   relu, from_keras: runs
#   relu, from_tflite: runs
#   gelu, from_keras: No Op registered for Erfc
#   gelu, from_tflite: No Op registered for TFL_GELU
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    tf2onnx==1.17.0 tensorflow-cpu==2.21.0 onnx==1.23.2 onnxruntime==1.32.0

TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" -W ignore - "$work" 2>/dev/null <<'EOF'
import logging
import re
import sys
from pathlib import Path

import keras
import onnxruntime as ort
import tensorflow as tf
import tf2onnx

logging.disable(logging.CRITICAL)


def conclude(same):
    print("as described" if same else "THE BEHAVIOUR HAS CHANGED")
    sys.exit(0 if same else 1)


def loads(model):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        return re.search(r"No Op registered for \w+", str(error))[0]
    return "runs"


seen = {}
for activation in ("relu", "gelu"):
    x = keras.layers.Input((8,), batch_size=1)
    network = keras.Model(x, keras.layers.Dense(8, activation=activation)(x))
    signature = [tf.TensorSpec((1, 8), tf.float32, name="x")]
    seen[activation, "from_keras"] = loads(tf2onnx.convert.from_keras(network, signature)[0])
    file = Path(sys.argv[1]) / f"{activation}.tflite"
    file.write_bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())
    seen[activation, "from_tflite"] = loads(tf2onnx.convert.from_tflite(str(file))[0])
for (activation, way), found in seen.items():
    print(f"{activation}, {way}: {found}")
conclude(
    list(seen.values())
    == ["runs", "runs", "No Op registered for Erfc", "No Op registered for TFL_GELU"]
)
EOF
