"""Quantizes with AIMET-ONNX, for the NPU, with the ranges of the best SQNR; run by compare.py.

python quantize_aimet.py MODEL SAMPLES.npz OUTPUT w8a8|w8a16|w4a16 SCHEME
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from aimet_onnx.common.defs import QuantScheme
from aimet_onnx.quantsim import QuantizationSimModel
from repaired import repaired

TYPES = {"w8a8": ("int8", "int8"), "w8a16": ("int8", "int16"), "w4a16": ("int4", "int16")}


def main() -> None:
    """Quantizes one model."""
    model, samples, output, precision, scheme = sys.argv[1:]
    arrays = dict(np.load(samples))
    count = len(next(iter(arrays.values())))
    feeds = [{name: array[index] for name, array in arrays.items()} for index in range(count)]
    weights, activations = TYPES[precision]
    simulated = QuantizationSimModel(
        onnx.load(repaired(Path(model), Path(output).with_suffix(".repaired.onnx"))),
        param_type=weights,
        activation_type=activations,
        quant_scheme=QuantScheme[scheme],
        config_file="htp_v73",
    )
    simulated.compute_encodings(feeds)
    onnx.save(simulated.to_onnx_qdq(), output)


if __name__ == "__main__":
    main()
