"""NVIDIA ModelOpt's quantization of the float ONNX model.

python export_modelopt.py FOLDER NETWORK int8|int8-fp16|fp8|int4 OUTPUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from modelopt.onnx.quantization import quantize


def main() -> None:
    """Exports the network."""
    folder, name, scheme, output = sys.argv[1:]
    kind, _, wide = scheme.partition("-")
    quantize(
        str(Path(folder) / f"{name}.onnx"),
        quantize_mode="int4_rtn" if kind == "int4" else kind,
        calibration_data={"x": np.concatenate(np.load(Path(folder) / "calibration.npy"))},
        calibration_eps=["cpu"],
        high_precision_dtype=wide or "fp32",
        output_path=output,
    )


if __name__ == "__main__":
    main()
