"""Other forms of operators that compute the same, by other kernels of the NPU.

In a Q/DQ model every new tensor is quantized, in the type of the node that is written otherwise.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, input_at
from snapq.quantization.agreement.holding import (
    Held,
    constant_read,
    encoding_read,
    held_constant,
    requantized,
)
from snapq.quantization.encodings import asymmetric
from snapq.quantization.existing_qdq.reading import constant_array

__all__ = [
    "bounded_exp",
    "constant_first",
    "division_of_smaller",
    "mean_by_axis",
    "norm_of_smaller",
    "reciprocal_by_division",
    "sigmoid_by_exp",
    "sigmoid_by_tanh",
    "softplus_by_parts",
]

_SMALLER = 256.0
_SMALLER_BOTH = 64.0
"""The largest number of fp16 over this has a reciprocal of which fp16 has all bits."""
_LOWEST_LOGIT = -11.5
"""Exp of 11.5 is 98,716, and 16-bit floating point of the NPU ends at 131,008."""
_LOWEST_EXP = -80.0
"""Exp of less is 1.8e-35, and what 16-bit floating point has below -88 is garbage."""


def sigmoid_by_tanh(graph: ir.Graph, node: ir.Node) -> bool:
    """`sigmoid(x)` as `0.5 + 0.5 tanh(x / 2)`."""
    if node.op_type != "Sigmoid":
        return False
    form = _Form(graph, node)
    half = np.float32(0.5)
    inner = form.step("Mul", form.data, half, over=(form.low / 2, form.high / 2))
    bent = form.step("Tanh", inner, over=(-1.0, 1.0))
    scaled = form.step("Mul", bent, half, over=(-0.5, 0.5))
    return form.last("Add", scaled, half)


def sigmoid_by_exp(graph: ir.Graph, node: ir.Node) -> bool:
    """`sigmoid(x)` as `1 / (1 + exp(-x))`, in float: it has as many digits of small values."""
    if node.op_type != "Sigmoid" or Held(graph, node).inputs():
        return False
    editor = Editor(graph)
    editor.begin(node)
    low, high = (np.array(bound, np.float32) for bound in (_LOWEST_LOGIT, -_LOWEST_EXP))
    power = editor.op("Exp", editor.op("Neg", editor.op("Clip", node.inputs[0], low, high)))
    one_more = editor.op("Add", power, np.array(1, np.float32))
    return _Form(graph, node).last("Div", np.float32(1), one_more)


def division_of_smaller(graph: ir.Graph, node: ir.Node) -> bool:
    """`a / b` as `(a / 64) / (b / 64)`, in float: the NPU has 0 for what is divided by 16,384."""
    if node.op_type != "Div" or Held(graph, node).inputs():
        return False
    editor = Editor(graph)
    editor.begin(node)
    part = np.array(1 / _SMALLER_BOTH, np.float32)
    for index, value in enumerate(node.inputs):
        node.replace_input_with(index, editor.op("Mul", value, part))
    return True


def reciprocal_by_division(graph: ir.Graph, node: ir.Node) -> bool:
    """`reciprocal(x)` as `1 / x`."""
    if node.op_type != "Reciprocal":
        return False
    form = _Form(graph, node)
    return form.last("Div", np.float32(1.0), form.data)


def softplus_by_parts(graph: ir.Graph, node: ir.Node) -> bool:
    """`log(1 + exp(x))` as `max(x, 0) + log(1 + exp(max(-|x|, -80)))`."""
    if node.op_type != "Softplus":
        return False
    form = _Form(graph, node)
    top = max(abs(form.low), abs(form.high))
    below = form.step("Neg", form.step("Abs", form.data, over=(0.0, top)), over=(-top, 0.0))
    bound = form.step("Max", below, np.float32(_LOWEST_EXP), over=(max(-top, _LOWEST_EXP), 0.0))
    one_more = form.step(
        "Add", form.step("Exp", bound, over=(0.0, 1.0)), np.float32(1.0), over=(0.0, 2.0)
    )
    rest = form.step("Log", one_more, over=(0.0, 0.7))
    return form.last("Add", form.step("Relu", form.data, over=(0.0, max(form.high, 0.0))), rest)


def norm_of_smaller(graph: ir.Graph, node: ir.Node) -> bool:
    """`reduce_l2(x)` as `256 reduce_l2(x / 256)`, whose squares stay small."""
    if node.op_type != "ReduceL2" or Held(graph, node).inputs():
        return False
    editor = Editor(graph)
    editor.begin(node)
    smaller = editor.op("Mul", node.inputs[0], np.array(1 / _SMALLER, np.float32))
    return _Form(graph, node).again(smaller, _SMALLER)


def mean_by_axis(graph: ir.Graph, node: ir.Node) -> bool:
    """A mean over several axes as one mean after the other, which keeps sums small."""
    value = node.inputs[0] if node.inputs else None
    rank = value.shape.rank() if value is not None and value.shape is not None else None
    if rank is None:
        return False
    if node.op_type == "GlobalAveragePool":
        axes = list(range(2, rank))
    elif node.op_type == "ReduceMean" and node.attributes.get_int("keepdims", True):
        given = constant_array(input_at(node, 1))
        axes = [] if given is None else sorted(int(a) % rank for a in given.reshape(-1))
    else:
        return False
    if len(axes) < 2:
        return False
    form = _Form(graph, node)
    found = form.data
    for axis in reversed(axes[1:]):
        found = form.step("ReduceMean", found, axis, over=(form.low, form.high))
    return form.last("ReduceMean", found, axes[0])


def constant_first(graph: ir.Graph, node: ir.Node) -> bool:
    """`x + c` as `c + x`, and `x c` as `c x`."""
    del graph
    if node.op_type not in ("Add", "Mul") or held_constant(node.inputs[1]) is None:
        return False
    first, second = node.inputs
    node.replace_input_with(0, second)
    node.replace_input_with(1, first)
    return True


def bounded_exp(graph: ir.Graph, node: ir.Node) -> bool:
    """`exp(x)` as `exp(max(x, -80))`."""
    if node.op_type != "Exp" or Held(graph, node).inputs():
        return False
    editor = Editor(graph)
    editor.begin(node)
    bound = editor.op("Max", node.inputs[0], np.array(_LOWEST_EXP, np.float32))
    node.replace_input_with(0, bound)
    return True


class _Form:
    """Writes a node of one data input as several, quantized where that one is."""

    def __init__(self, graph: ir.Graph, node: ir.Node) -> None:
        assert node.inputs[0] is not None
        self.graph, self.node, self.data = graph, node, node.inputs[0]
        self.editor = Editor(graph)
        self.editor.begin(node)
        self.encoding = encoding_read(self.data)
        held = self.encoding
        self.low = float(held.minimum.min()) if held is not None else 0.0
        self.high = float(held.maximum.max()) if held is not None else 0.0

    def step(
        self,
        op_type: str,
        *inputs: ir.Value | np.floating | int,
        over: tuple[float, float],
    ) -> ir.Value:
        """One more node, whose result lies within `over`."""
        found = self.editor.op(op_type, *map(self._input, inputs))
        if self.encoding is None:
            return found
        return requantized(self.editor, found, asymmetric(*over, self.encoding.dtype))

    def last(self, op_type: str, *inputs: ir.Value | np.floating | int) -> bool:
        """The node that gives what the former one gave, under its name."""
        output = self.node.outputs[0]
        name, users = str(output.name), tuple(output.uses())
        found = self.editor.op(op_type, *map(self._input, inputs))
        found.shape, found.type = output.shape, output.type
        for user, index in users:
            user.replace_input_with(index, found)
        leaves = [i for i, value in enumerate(self.graph.outputs) if value is output]
        for index in leaves:
            self.graph.outputs[index] = found
        self.graph.remove(self.node, safe=True)
        found.name = name
        return True

    def again(self, data: ir.Value, factor: float) -> bool:
        """The same operator on other data, times a factor, under the former one's name."""
        others = self.node.inputs[1:]
        result = self.editor.op(self.node.op_type, data, *others, **_plain(self.node))
        return self.last("Mul", result, np.float32(factor))

    def _input(self, value: ir.Value | np.floating | int) -> ir.Value | np.ndarray:
        if isinstance(value, ir.Value):
            return value
        if isinstance(value, int):
            return np.array([value], np.int64)
        number = np.asarray(value, np.float32)
        if self.encoding is None:
            return number
        one = float(value)
        encoding = asymmetric(min(one, 0.0), max(one, 0.0), self.encoding.dtype)
        return constant_read(self.editor, f"{self.node.name}_number", number, encoding)


def _plain(node: ir.Node) -> dict[str, int]:
    """The whole numbers among a node's attributes."""
    return {
        name: attribute.as_int()
        for name, attribute in node.attributes.items()
        if attribute.type is ir.AttributeType.INT
    }
