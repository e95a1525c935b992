"""AIMET-ONNX's quantization of the float ONNX model, for the NPU or with its defaults.

python export_aimet.py FOLDER NETWORK TYPES-CONFIG[-bias][-stored] OUTPUT

Such as w8a8-htp_v73-bias-stored; `bias` writes int32 biases, `stored` integers as weights.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from aimet_onnx.quantsim import QuantizationSimModel


def main() -> None:
    """Exports the network."""
    folder, name, scheme, output = sys.argv[1:]
    types, config, *others = scheme.split("-")
    weights, activations = types[1:].split("a")
    simulated = QuantizationSimModel(
        onnx.load(Path(folder) / f"{name}.onnx"),
        param_type=f"int{weights}",
        activation_type=f"int{activations}",
        config_file=config,
    )
    arrays = np.load(Path(folder) / "calibration.npy")
    simulated.compute_encodings([{"x": array} for array in arrays])
    quantized = simulated.to_onnx_qdq(
        export_int32_bias="bias" in others,
        prequantize_constants="stored" in others,
        force_activation_as="signed" if "signed" in others else "unsigned",
    )
    onnx.save(quantized, output)


if __name__ == "__main__":
    main()
