"""Trains the networks and writes their float ONNX models and samples.

python export_float.py FOLDER

`calibration.npy` is for the tools, `evaluation.npy` for the judge: `[N, 1, 3, 32, 32]`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from network import NETWORKS, SHAPE, pictures, trained

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    np.save(folder / "calibration.npy", np.stack(pictures(32)))
    np.save(folder / "evaluation.npy", np.stack(pictures(24, 500)))
    for name in NETWORKS:
        torch.onnx.export(
            trained(name, folder),
            (torch.zeros(SHAPE),),
            str(folder / f"{name}.onnx"),
            input_names=["x"],
            output_names=["y"],
            opset_version=18,
            dynamo=True,
            external_data=False,
        )
