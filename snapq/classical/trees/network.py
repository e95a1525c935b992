"""The NPU's part: an ordinary Q/DQ model in 8 bits whose every value is a whole number.

1. Conv: conditions, saturated to 0 or 1 (scale 1/255: 255 or 0 as a code). With limbs a second Conv
   compares the upper halves (-1, 0 or 1), and an Add saturates the sum.
2. grouped Conv: leaves. Weights +1 and -1 and a bias make 1 where all conditions of the way hold,
   0 or less elsewhere; the output saturates at 0.
3. Conv: the digits of the leaves' values, counted over all trees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from snapq.classical.trees.blocks import Part
from snapq.classical.trees.digits import Digits
from snapq.classical.trees.encoding import Comparison, Encoding
from snapq.classical.trees.forest import Forest, Target

OUTPUT = "tree_digits"
_OPSET, _IR_VERSION = 21, 10
_TRUTH = 1 / 255
"""Scale of conditions: every code above 255 is cut there, so a condition is 0 or 1."""
_SIGN, _SIGN_ZERO = 1 / 127, 127
"""Encoding of a comparison of upper halves: -1, 0, and 1 (and a little more, which is cut)."""


@dataclass(frozen=True)
class Layout:
    """Rows in the two dimensions of an image: the NPU computes with 8 lines at a time."""

    height: int
    width: int


@dataclass(frozen=True)
class Counted:
    """What the output's columns are: for each part the targets whose digits it counts."""

    targets: tuple[tuple[Target, ...], ...]
    digits: dict[Target, Digits]

    @property
    def columns(self) -> int:
        """How many columns there are."""
        return sum(self.digits[t].count for targets in self.targets for t in targets)

    def places(self, target: Target) -> list[int]:
        """The columns of a target, one run of digits for each part that counts it."""
        found: list[int] = []
        column = 0
        for targets in self.targets:
            for other in targets:
                count = self.digits[other].count
                if other == target:
                    found += range(column, column + count)
                column += count
        return found


def counted(forest: Forest, parts: Sequence[Part], digits: dict[Target, Digits]) -> Counted:
    """Says what each column of the output counts."""
    here = [{t for tree in part.trees for t in forest.trees[tree].targets} for part in parts]
    return Counted(tuple(tuple(sorted(targets)) for targets in here), digits)


def build(
    forest: Forest,
    encoding: Encoding,
    parts: Sequence[Part],
    columns: Counted,
    layout: Layout,
) -> ir.Model:
    """Writes the model.

    Its inputs are those of the encoding, uint8 [1, height, width, bytes a row]; its output
    `tree_digits` is uint8 [1, height, width, columns].
    """
    graph = _Graph()
    inputs = {given.name: graph.image(given.name) for given in encoding.inputs}
    counts = [
        _part(graph, inputs, encoding, part, _value_weights(forest, part, targets, columns))
        for part, targets in zip(parts, columns.targets, strict=True)
    ]
    joined = counts[0]
    if len(counts) > 1:
        joined = graph.requantized(graph.add("Concat", counts, axis=1), 1.0)
    rows = graph.add("Transpose", [joined], perm=[0, 2, 3, 1])
    graph.quantized(rows, 1.0, output=OUTPUT)
    shapes = {given.name: given.width for given in encoding.inputs}
    return graph.model(shapes, {OUTPUT: columns.columns}, layout)


def _part(
    graph: _Graph,
    inputs: dict[str, str],
    encoding: Encoding,
    part: Part,
    values: NDArray[np.int8],
) -> str:
    chosen = _channels(part)

    def compare(comparison: Comparison, scale: float, zero: int) -> str:
        weights = np.where(chosen[:, None] >= 0, comparison.weights[chosen], 0)
        biases = np.where(chosen >= 0, comparison.biases[chosen], 0)
        found = graph.conv(inputs[comparison.source], weights, biases, 1.0)
        return graph.requantized(found, scale, zero)

    truth = compare(encoding.lower, _TRUTH, 0)
    if encoding.upper is not None:
        upper = compare(encoding.upper, _SIGN, _SIGN_ZERO)
        truth = graph.requantized(graph.add("Add", [upper, truth]), _TRUTH)
    weights, biases = _leaf_weights(part)
    leaves = graph.conv(truth, weights, biases, _TRUTH, groups=len(part.blocks))
    leaves = graph.requantized(leaves, 1.0)
    return graph.requantized(graph.conv(leaves, values, None, 1.0), 1.0)


def _channels(part: Part) -> NDArray[np.int64]:
    """The condition of each channel of the first Conv; -1 where there is none."""
    chosen = np.full((len(part.blocks), part.conditions), -1, np.int64)
    for row, block in zip(chosen, part.blocks, strict=True):
        row[: len(block.conditions)] = block.conditions
    return chosen.ravel()


def _leaf_weights(part: Part) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    """Weights [blocks x leaves, conditions], and biases in steps of 1/255."""
    weights = np.zeros((len(part.blocks), part.leaves, part.conditions), np.int8)
    biases = np.zeros((len(part.blocks), part.leaves), np.int32)
    for number, block in enumerate(part.blocks):
        channel = {condition: at for at, condition in enumerate(block.conditions)}
        for at, (_, leaf) in enumerate(block.leaves):
            weights[number, at, [channel[c] for c in leaf.true]] = 1
            weights[number, at, [channel[c] for c in leaf.false]] = -1
            biases[number, at] = 255 * (1 - len(leaf.true))
    return weights.reshape(-1, part.conditions), biases.ravel()


def _value_weights(
    forest: Forest, part: Part, targets: Sequence[Target], columns: Counted
) -> NDArray[np.int8]:
    """Weights [columns, blocks x leaves]: the digits of each leaf."""
    runs = []
    for ensemble, target in targets:
        values = np.zeros((len(part.blocks), part.leaves))
        for row, block in zip(values, part.blocks, strict=True):
            for at, (tree, leaf) in enumerate(block.leaves):
                if forest.trees[tree].ensemble == ensemble:
                    row[at] = leaf.adds[target]
        runs.append(columns.digits[ensemble, target].of(values.ravel()).T)
    return np.concatenate(runs).astype(np.int8)


class _Graph:
    """An ONNX graph as it grows; equal constants are written once."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def add(self, op: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Adds a node; returns the name of its output."""
        name = f"{op.lower()}_{len(self._nodes)}"
        made = helper.make_node(op, list(inputs), [output or name], name, **attributes)
        self._nodes.append(made)
        return output or name

    def constant(self, value: NDArray[np.generic] | np.generic, name: str = "") -> str:
        """Adds a constant."""
        name = name or f"{value.dtype}_{value}"
        self._constants.setdefault(name, numpy_helper.from_array(np.asarray(value), name))
        return name

    def quantized(self, value: str, scale: float, zero: int = 0, output: str = "") -> str:
        """Quantizes to uint8."""
        encoding = [self.constant(np.float32(scale)), self.constant(np.uint8(zero))]
        return self.add("QuantizeLinear", [value, *encoding], output)

    def dequantized(self, value: str, scale: float, zero: np.generic) -> str:
        """Dequantizes."""
        encoding = [self.constant(np.float32(scale)), self.constant(zero)]
        return self.add("DequantizeLinear", [value, *encoding])

    def requantized(self, value: str, scale: float, zero: int = 0) -> str:
        """Rounds and saturates to uint8."""
        return self.dequantized(self.quantized(value, scale, zero), scale, np.uint8(zero))

    def image(self, name: str) -> str:
        """An input with channels last, as the NPU has it, turned for a Conv."""
        given = self.dequantized(name, 1.0, np.uint8(0))
        return self.requantized(self.add("Transpose", [given], perm=[0, 3, 1, 2]), 1.0)

    def conv(
        self,
        value: str,
        weights: NDArray[np.int8],
        biases: NDArray[np.int32] | None,
        scale: float,
        groups: int = 1,
    ) -> str:
        """A Conv of one point with whole weights; biases are in steps of the input's scale."""
        at = len(self._nodes)
        held = self.constant(weights.astype(np.int8)[:, :, None, None], f"weights_{at}")
        inputs = [value, self.dequantized(held, 1.0, np.int8(0))]
        if biases is not None:
            held = self.constant(biases.astype(np.int32), f"biases_{at}")
            inputs.append(self.dequantized(held, scale, np.int32(0)))
        return self.add("Conv", inputs, kernel_shape=[1, 1], group=groups)

    def model(self, inputs: dict[str, int], outputs: dict[str, int], layout: Layout) -> ir.Model:
        """The model, with this many bytes a row for each input and output."""

        def images(sizes: dict[str, int]) -> list[onnx.ValueInfoProto]:
            rows = [1, layout.height, layout.width]
            return [
                helper.make_tensor_value_info(name, TensorProto.UINT8, [*rows, size])
                for name, size in sizes.items()
            ]

        constants = list(self._constants.values())
        ends = images(inputs), images(outputs)
        graph = helper.make_graph(self._nodes, "trees", ends[0], ends[1], constants)
        opset = [helper.make_opsetid("", _OPSET)]
        proto = helper.make_model(graph, opset_imports=opset, ir_version=_IR_VERSION)
        return ir.serde.deserialize_model(proto)
