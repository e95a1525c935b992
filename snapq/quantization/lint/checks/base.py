"""What a check sees of a Q/DQ model, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import onnx_ir as ir

from snapq.operators import OpSpec, Role, quantized
from snapq.quantization.encodings import Encoding
from snapq.quantization.existing_qdq.reading import constant_array, encoding_of
from snapq.quantization.qdq.decisions import KEPT_FLOAT

__all__ = ["Check", "Finding", "View"]

DEQUANTIZE = "DequantizeLinear"
QUANTIZE = "QuantizeLinear"


@dataclass(frozen=True)
class Finding:
    """One broken rule: the node, the short name of the rule, what is wrong, what to do about it."""

    node: str
    rule: str
    message: str
    hint: str


@dataclass(frozen=True)
class View:
    """A Q/DQ model, and the Hexagon version for which it shall be legal, as checks see them."""

    model: ir.Model
    architecture: int

    def rule(self, node: ir.Node) -> OpSpec | None:
        """How the node's operator is quantized; None for Q, DQ and what is float on purpose."""
        if KEPT_FLOAT in node.metadata_props:
            return None
        return quantized(node)

    def reader(self, value: ir.Value | None) -> ir.Node | None:
        """The DQ that gives a value; None where none does."""
        node = value.producer() if value is not None else None
        return node if node is not None and node.op_type == DEQUANTIZE else None

    def quantizers(self, value: ir.Value) -> tuple[ir.Node, ...]:
        """The Q nodes that take a value."""
        return tuple(user for user, _ in value.uses() if user.op_type == QUANTIZE)

    def data(self, node: ir.Node) -> tuple[tuple[int, ir.Value], ...]:
        """The inputs of a node that its rule wants quantized, with their indices."""
        rule = self.rule(node)
        if rule is None:
            return ()
        return tuple(
            (index, value)
            for index, value in enumerate(node.inputs)
            if value is not None and rule.role(index).quantized
        )

    def input_of(self, node: ir.Node, role: Role) -> ir.Node | None:
        """The DQ on a node's input of that role; None where there is none."""
        rule = self.rule(node)
        for index, value in self.data(node):
            if rule is not None and rule.role(index) is role:
                return self.reader(value)
        return None

    def encoding(self, node: ir.Node | None) -> Encoding | None:
        """The encoding of a Q or DQ node; None where its scale is computed or by blocks."""
        return encoding_of(node) if node is not None else None

    def stored(self, reader: ir.Node) -> ir.Value | None:
        """The constant that a DQ reads, directly or through a Q; None for an activation."""
        source = reader.inputs[0]
        producer = source.producer() if source is not None else None
        if producer is not None and producer.op_type == QUANTIZE:
            source = producer.inputs[0]
        return source if constant_array(source) is not None else None

    def touched(self, node: ir.Node) -> bool:
        """Whether Q or DQ stands at any data input or output of a node."""
        return any(self.reader(value) for _, value in self.data(node)) or any(
            self.quantizers(value) for value in node.outputs
        )


Check = Callable[[View, ir.Node], Iterator[Finding]]
