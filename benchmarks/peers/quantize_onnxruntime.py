"""Quantizes with ONNX Runtime's own quantizer, in its form for the NPU; run by compare.py.

python quantize_onnxruntime.py MODEL SAMPLES.npz OUTPUT w8a8|w8a16|w4a16 METHOD[+preprocess]

It gets what its users would give it: a model repaired, preprocessed where asked for (its own step
for the NPU), and the scales of LayerNormalization in uint8, as the NPU does not take them in int8.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize
from onnxruntime.quantization.execution_providers.qnn import (
    get_qnn_qdq_config,
    qnn_preprocess_model,
)
from repaired import repaired

TYPES = {
    "w8a8": (QuantType.QInt8, QuantType.QUInt8),
    "w8a16": (QuantType.QInt8, QuantType.QUInt16),
    "w4a16": (QuantType.QInt4, QuantType.QUInt16),
}


class Samples(CalibrationDataReader):
    """The stacked samples of a file, one after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rewind()

    def rewind(self) -> None:
        """Starts again."""
        self._samples = self._read()

    def _read(self) -> Iterator[dict[str, np.ndarray]]:
        arrays = dict(np.load(self._path))
        for index in range(len(next(iter(arrays.values())))):
            yield {name: array[index] for name, array in arrays.items()}

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next sample; None after the last."""
        return next(self._samples, None)


def main() -> None:
    """Quantizes one model."""
    model, samples, output, precision, method = sys.argv[1:]
    method, _, preprocess = method.partition("+")
    source = repaired(Path(model), Path(output).with_suffix(".repaired.onnx"))
    fused = Path(output).with_suffix(".fused.onnx")
    if preprocess and qnn_preprocess_model(source, fused):
        source = fused
    norms = [n for n in onnx.load(source).graph.node if n.op_type == "LayerNormalization"]
    weights, activations = TYPES[precision]
    config = get_qnn_qdq_config(
        source,
        Samples(Path(samples)),
        calibrate_method=CalibrationMethod[method],
        activation_type=activations,
        weight_type=weights,
        per_channel=True,
        init_overrides={n.input[1]: [{"quant_type": QuantType.QUInt8}] for n in norms} or None,
    )
    quantize(source, output, config)


if __name__ == "__main__":
    main()
