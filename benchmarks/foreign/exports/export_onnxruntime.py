"""ONNX Runtime's static quantization of the float ONNX model, in its forms and types.

python export_onnxruntime.py FOLDER NETWORK SCHEME OUTPUT

SCHEME is a form (qdq, qoperator), the type of activations (u8, s8, u16, s16) and of weights (u8,
s8, s4), and what else: `channel` a scale for each channel, `integers` no Q and DQ at the boundary,
`qnn` the configuration for QNN, `symmetric` zero points of 0. Such as qdq-u8-s8-channel.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize,
    quantize_static,
)
from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config
from onnxruntime.quantization.shape_inference import quant_pre_process

TYPES = {
    "u8": QuantType.QUInt8,
    "s8": QuantType.QInt8,
    "u16": QuantType.QUInt16,
    "s16": QuantType.QInt16,
    "s4": QuantType.QInt4,
}


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
    form, activations, weights, *others = scheme.split("-")
    source = Path(output).with_suffix(".preprocessed.onnx")
    quant_pre_process(Path(folder) / f"{name}.onnx", source)
    samples = Samples(Path(folder) / "calibration.npy")
    types = {"activation_type": TYPES[activations], "weight_type": TYPES[weights]}
    if "qnn" in others:
        config = get_qnn_qdq_config(source, samples, **types, per_channel="channel" in others)
        quantize(source, output, config)
    else:
        symmetric = "symmetric" in others
        quantize_static(
            source,
            output,
            samples,
            quant_format=QuantFormat.QDQ if form == "qdq" else QuantFormat.QOperator,
            per_channel="channel" in others,
            extra_options={"ActivationSymmetric": symmetric},
            **types,
        )
    if "integers" in others:
        onnx.save(without_boundary(onnx.load(output)), output)


def without_boundary(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with integer inputs and outputs: the first Q and the last DQ are taken off."""
    graph = model.graph
    constants = {constant.name: constant for constant in graph.initializer}
    for node in tuple(graph.node):
        zero = constants.get(node.input[2]) if len(node.input) > 2 else None
        first = node.op_type == "QuantizeLinear" and node.input[0] == graph.input[0].name
        last = node.op_type == "DequantizeLinear" and node.output[0] == graph.output[0].name
        if zero is None or not (first or last):
            continue
        outer, inner = (
            (graph.input[0], node.output[0]) if first else (graph.output[0], node.input[0])
        )
        outer.name, outer.type.tensor_type.elem_type = inner, zero.data_type
        graph.node.remove(node)
    return model


if __name__ == "__main__":
    main()
