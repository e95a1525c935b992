"""NNCF's post-training quantization of the float ONNX model.

python export_nncf.py FOLDER NETWORK performance|mixed|transformer OUTPUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import nncf
import numpy as np
import onnx


def main() -> None:
    """Exports the network."""
    folder, name, scheme, output = sys.argv[1:]
    model = onnx.load(Path(folder) / f"{name}.onnx")
    samples = nncf.Dataset(
        list(np.load(Path(folder) / "calibration.npy")), lambda array: {"x": array}
    )
    kind = nncf.ModelType.TRANSFORMER if scheme == "transformer" else None
    preset = nncf.QuantizationPreset.MIXED if scheme == "mixed" else None
    onnx.save(nncf.quantize(model, samples, preset=preset, model_type=kind), output)


if __name__ == "__main__":
    main()
