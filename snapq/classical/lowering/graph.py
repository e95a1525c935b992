"""The part on the NPU: two 1x1 convolutions with the kernel between them, or more of both."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from snapq.classical.lowering.layers import Floats, Layers

_LEAST_EXPONENT = -80.0
"""Below -88 the NPU's Exp of 16 bits is garbage; exp(-80) is nothing beside any weight."""
_TANH_IS_1 = 10.0
"""From here on a Tanh is 1, in float32 too."""


def npu_model(given: str, made: str, part: Layers, batch: int) -> ir.Model:
    """Builds the model of one estimator, opset 21.

    Rows lie as a picture of about as many lines as columns, and features are its channels: laid out
    so, 1,024 rows of 581 support vectors take a tenth of the time that a Gemm of the same weights
    takes in 16-bit floating point (estimate for the QCS9075).

    Args:
        given: name of the input [batch, columns].
        made: name of the output [batch, D].
        part: its constants.
        batch: rows of one inference.
    """
    builder = _Builder(made)
    shape = builder.constant(np.array([1, lines(batch), batch // lines(batch), part.columns]))
    x = builder.op("Transpose", builder.op("Reshape", given, shape), perm=[0, 3, 1, 2])
    if part.first is not None:
        x = builder.kernel(part, builder.conv(x, part.first, part.first_bias))
    for weights, bias in part.inner:
        x = builder.kernel(part, builder.conv(x, weights, bias))
    y = builder.conv(x, part.second, part.second_bias)
    y = builder.op("Transpose", y, perm=[0, 2, 3, 1])
    flat = builder.constant(np.array([batch, len(part.second)]))
    builder.op("Reshape", y, flat, output=made)
    graph = helper.make_graph(
        builder.nodes,
        "estimator",
        [helper.make_tensor_value_info(given, TensorProto.FLOAT, (batch, part.columns))],
        [helper.make_tensor_value_info(made, TensorProto.FLOAT, (batch, len(part.second)))],
        builder.constants,
    )
    opset = [helper.make_opsetid("", 21)]
    return ir.from_proto(helper.make_model(graph, opset_imports=opset, ir_version=10))


def lines(batch: int) -> int:
    """Lines of the picture: the divisor of the batch that is next to its root, from below."""
    return next(n for n in range(math.isqrt(batch), 0, -1) if batch % n == 0)


class _Builder:
    """Nodes and constants of the graph."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def kernel(self, part: Layers, t: str) -> str:
        """Adds what is computed of the first layer's result."""
        if part.kernel == "EXP":
            bounds = (np.float32(_LEAST_EXPONENT), np.float32(-_LEAST_EXPONENT))
            return self.op("Exp", self.op("Clip", t, *map(self.constant, bounds)))
        if part.kernel == "TANH":
            # What changes nothing keeps the compiler from the Tanh of 40 dB behind a convolution.
            bounds = (np.float32(-_TANH_IS_1), np.float32(_TANH_IS_1))
            return self.op("Tanh", self.op("Clip", t, *map(self.constant, bounds)))
        if part.kernel == "RELU":
            return self.op("Relu", t)
        total = t
        for added in part.steps:
            # The constant first: behind the data the compiler may take it for a single number.
            total = self.op("Add", self.constant(added.reshape(1, -1, 1, 1)), total)
            total = self.op("Mul", total, t)
        return total

    def conv(self, x: str, weights: Floats, bias: Floats | None) -> str:
        """Adds a 1x1 convolution with weights [outputs, inputs]."""
        assert bias is not None
        kernel = weights[:, :, None, None]
        return self.op("Conv", x, self.constant(kernel), self.constant(bias))

    def op(
        self, kind: str, *inputs: str, output: str | None = None, perm: list[int] | None = None
    ) -> str:
        """Adds a node; returns the name of what it makes."""
        name = f"{self._prefix}_{kind}_{len(self.nodes)}"
        made = output or f"{name}_output"
        # An attribute of None is left out.
        self.nodes.append(helper.make_node(kind, inputs, [made], name, perm=perm))
        return made

    def constant(self, value: NDArray[Any] | np.generic) -> str:
        """Adds a constant; returns its name."""
        name = f"{self._prefix}_constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name
