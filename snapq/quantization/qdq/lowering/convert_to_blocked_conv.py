"""Block-wise 4-bit weights: one scale for some input channels of each output channel.

The NPU has them for convolutions of one tap with 16-bit activations ("low-power block
quantization"): the scale of a block is an integer of 1 to 16 times a scale of its output channel.
The provider makes that of a DequantizeLinear with `block_size` where the session option
`enable_block_quant_weight_optimization` is set; a product of matrices loses precision on that way
and a Gemm does not take it at all, so both become such convolutions. Measured with one-operator
models on the simulator of QAIRT 2.51 (onnxruntime-qnn 2.7.0) for v68, v69, v73, v75, v79, v81; by
the estimate for QCS9075 blocks of 32 cost 2 % more than one scale a channel (256 x 256, 784 rows).
Convolutions of several taps, and 8-bit activations, are refused by the provider.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import Names, add_constant, constant, input_at
from snapq.graph.shapes import static_shape
from snapq.precision import ActivationType, WeightType
from snapq.quantization.granularity import PerBlock
from snapq.quantization.qdq.parameters import gemm_scaled
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["convert_to_blocked_conv"]


def convert_to_blocked_conv(graph: ir.Graph, scheme: Scheme) -> Scheme:
    """Makes each Gemm and MatMul whose weight shall have blocks a convolution of one tap, in place.

    1. The weight is a constant matrix, the bias a constant vector or none.
    2. The convolution keeps the node's name, and what it gives the name of the node's output, whose
       values it has; so what calibration saw of one holds for the other. A node that gives an
       output of the graph stays as it is.
    """
    if not isinstance(scheme.granularity, PerBlock):
        return scheme
    names, size = Names(graph), scheme.granularity.size
    for node in tuple(graph):
        if node.op_type in ("Gemm", "MatMul") and _wants_blocks(node, scheme, size):
            _convert(graph, node, names)
    return scheme


def _wants_blocks(node: ir.Node, scheme: Scheme, size: int) -> bool:
    if scheme.precision(str(node.name)) != (WeightType.INT4, ActivationType.UINT16):
        return False
    if node.attributes.get_int("transA", 0) or node.outputs[0].is_graph_output():
        return False
    given, weight = static_shape(node.inputs[0]), _constant(node, 1)
    if given is None or weight is None or weight.ndim != 2:
        return False
    bias = _constant(node, 2)
    plain = len(node.inputs) < 3 or node.inputs[2] is None
    return given[-1] % size == 0 and (plain or (bias is not None and bias.ndim == 1))


def _convert(graph: ir.Graph, node: ir.Node, names: Names) -> None:
    source, output = node.inputs[0], node.outputs[0]
    given, made = static_shape(source), static_shape(output)
    weight = _constant(node, 1)
    if source is None or given is None or made is None or weight is None:
        return
    matrix, bias = weight, _constant(node, 2)
    if node.op_type == "Gemm":
        matrix, bias = gemm_scaled(node, matrix, bias)
    if not node.attributes.get_int("transB", 0):
        matrix = matrix.T
    outputs, inputs = matrix.shape
    rows = int(np.prod(given[:-1], dtype=np.int64))
    stem = str(output.name)
    nodes: list[ir.Node] = []

    def add(
        op: str, of: list[ir.Value], shape: tuple[int, ...], name: str, **attributes: list[int]
    ) -> ir.Value:
        made = ir.node(op, of, attributes=attributes, name=names.fresh_node(f"{node.name}_{op}"))
        value = made.outputs[0]
        value.name = name
        value.shape, value.type = ir.Shape(shape), output.type
        nodes.append(made)
        return value

    def stored(array: npt.NDArray[np.generic], name: str) -> ir.Value:
        return add_constant(graph, names.fresh_value(f"{stem}_{name}"), array)

    output.name = None
    first, last = (1, rows, 1, inputs), (1, rows, 1, outputs)
    name = names.fresh_value(f"{stem}_in")
    flat = add("Reshape", [source, stored(np.array(first), "rows")], first, name)
    name = names.fresh_value(f"{stem}_turned")
    turned = add("Transpose", [flat], (1, inputs, rows, 1), name, perm=[0, 3, 1, 2])
    kernel = stored(np.ascontiguousarray(matrix).reshape(outputs, inputs, 1, 1), "weight")
    parts = [turned, kernel, *([stored(bias, "bias")] if bias is not None else [])]
    product = add("Conv", parts, (1, outputs, rows, 1), stem, kernel_shape=[1, 1])
    nodes[-1].name = node.name
    name = names.fresh_value(f"{stem}_back")
    back = add("Transpose", [product], last, name, perm=[0, 2, 3, 1])
    name = names.fresh_value(f"{stem}_rows")
    result = add("Reshape", [back, stored(np.array(made), "shape")], made, name)
    graph.insert_before(node, nodes)
    output.replace_all_uses_with(result)
    graph.remove(node, safe=True)


def _constant(node: ir.Node, index: int) -> npt.NDArray[np.float32] | None:
    array = constant(input_at(node, index))
    return None if array is None else np.asarray(array, np.float32)
