"""AMD Quark's quantization of the float ONNX model, by its named configurations.

python export_quark.py FOLDER NETWORK XINT8|VINT8|A8W8|A16W8|... OUTPUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationDataReader
from quark.onnx import ModelQuantizer
from quark.onnx.quantization.config import Config, get_default_config


class Samples(CalibrationDataReader):
    """The calibration samples, one by one."""

    def __init__(self, file: Path) -> None:
        self._arrays = iter(np.load(file))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next one."""
        array = next(self._arrays, None)
        return None if array is None else {"x": array}


def main() -> None:
    """Exports the network."""
    folder, name, scheme, output = sys.argv[1:]
    config = Config(global_quant_config=get_default_config(scheme))
    samples = Samples(Path(folder) / "calibration.npy")
    ModelQuantizer(config).quantize_model(str(Path(folder) / f"{name}.onnx"), output, samples)


if __name__ == "__main__":
    main()
