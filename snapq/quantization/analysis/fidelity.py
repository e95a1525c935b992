"""How near a quantized model is to its float model, layer by layer.

The two models run side by side on one sample at a time. The quantized one gives its intermediate
tensors as integers, which any runner can return (the CPU, the simulator), and they are read back
here with their encodings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.operators import Trait, spec_of
from snapq.quantization.encodings import Encoding, dequantize
from snapq.quantization.existing_qdq.reading import encoding_of

__all__ = ["LayerOutput", "layer_outputs", "read_back"]

Feeds = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class LayerOutput:
    """One tensor that both models have.

    Attributes:
        node: name of the float node that gives it.
        tensor: name in the float model.
        quantized: name of its integers in the quantized model.
        encoding: how to read them.
    """

    node: str
    tensor: str
    quantized: str
    encoding: Encoding


def layer_outputs(float_model: ir.Model, quantized_model: ir.Model) -> tuple[LayerOutput, ...]:
    """The tensors that the float model computes and the quantized one holds, in graph order.

    A tensor `t` is found as the output of a QuantizeLinear named `t_quantized`. What is moved and
    then gets another type is left out, and what is transposed for a product: the NPU makes one of
    both, and refuses the model where the tensor between them is to be given out; its values are
    those of what was moved.
    """
    held, turned, multiplied = {}, set(), set()
    for node in quantized_model.graph:
        if node.op_type == "QuantizeLinear":
            encoding = encoding_of(node)
            if encoding is not None:
                held[str(node.outputs[0].name)] = encoding
            if _gets_another_type(node.outputs[0]):
                turned.add(str(node.outputs[0].name))
            if "MatMul" in _readers(node.outputs[0]):
                multiplied.add(str(node.outputs[0].name))
    return tuple(
        LayerOutput(str(node.name), str(value.name), name, held[name])
        for node in float_model.graph
        for value in node.outputs
        if (name := f"{value.name}_quantized") in held
        and not (name in turned and spec_of(node).has(Trait.MOVES))
        and not (name in multiplied and node.op_type == "Transpose")
    )


def _gets_another_type(quantized: ir.Value) -> bool:
    """Whether a DequantizeLinear and a QuantizeLinear follow."""
    return "QuantizeLinear" in _readers(quantized)


def _readers(quantized: ir.Value) -> set[str]:
    """The operators that read integers behind their DequantizeLinear."""
    reals = [value for node in quantized.consumers() for value in node.outputs]
    return {node.op_type for value in reals for node in value.consumers()}


def read_back(layers: Iterable[LayerOutput], outputs: Feeds) -> dict[str, npt.NDArray[np.float32]]:
    """Outputs of the quantized model, integers by quantized name, as reals by float name."""
    return {x.tensor: dequantize(outputs[x.quantized], x.encoding) for x in layers}
