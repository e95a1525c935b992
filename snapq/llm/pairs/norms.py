"""RMS normalizations of a graph, in whatever operators: their weight and epsilon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.errors import ModelError
from snapq.graph.edit import constant, scalar

__all__ = ["Norm", "Region", "norm_of"]

Floats = npt.NDArray[np.float32]
_MEANS = ("ReduceMean", "RMSNormalization")
_STEPS = 200
"""Nodes of a normalization or of RoPE, at most."""


@dataclass(frozen=True)
class Norm:
    """An RMS normalization.

    Attributes:
        weight: `[size]`.
        epsilon: added to the mean of the squares.
    """

    weight: Floats
    epsilon: float


class Region:
    """The nodes between a value and what it is made of, constants aside.

    Args:
        end: the value.
        begin: where to stop; not given: at sums of two variables and at what looks up a table.
        within: whether a value belongs to it; not given: all do.
    """

    def __init__(
        self,
        end: ir.Value,
        begin: ir.Value | None = None,
        within: Callable[[ir.Value], bool] = lambda _: True,
    ) -> None:
        self.nodes: list[ir.Node] = []
        self.root: ir.Value | None = None
        waiting, seen = [end], {end}
        while waiting:
            value = waiting.pop()
            node = value.producer()
            if value is begin or node is None or (begin is None and _ends(node)):
                self.root = value
                continue
            if len(self.nodes) > _STEPS:
                break
            self.nodes.append(node)
            inputs = [v for v in node.inputs if v is not None and v not in seen]
            inputs = [v for v in inputs if constant(v) is None and within(v)]
            seen.update(inputs)
            waiting += inputs

    def first(self, *kinds: str) -> ir.Node | None:
        """A node of some kinds."""
        return next((node for node in self.nodes if node.op_type in kinds), None)

    def factor(self) -> float:
        """The product of all numbers that it is multiplied with or divided by."""
        product = 1.0
        for node in self.nodes:
            if node.op_type in ("Mul", "Div") and len(node.inputs) == 2:
                last, first = scalar(node.inputs[1]), scalar(node.inputs[0])
                if last is not None:
                    product *= last if node.op_type == "Mul" else 1 / last if last else 1.0
                elif first is not None and node.op_type == "Mul":
                    product *= first
        return product


def _ends(node: ir.Node) -> bool:
    if node.op_type in ("Gather", "Slice"):
        return True
    return node.op_type == "Add" and all(constant(value) is None for value in node.inputs)


def norm_of(region: Region, size: int, what: str, where: str) -> Norm | None:
    """The normalization of a region; None where it has none.

    Args:
        region: the nodes.
        size: of what is normalized.
        what: it stands in front of, for messages.
        where: the file.

    Raises:
        ModelError: it is another normalization than RMSNorm.
    """
    other = region.first("LayerNormalization", "Sub")
    if other is not None and other.op_type == "LayerNormalization":
        raise ModelError(
            f"LayerNormalization '{other.name}' stands in front of {what}, and only RMSNorm is "
            "taken.",
            where=where,
            hint="Only decoders of the Llama type are taken apart.",
        )
    if region.first(*_MEANS) is None:
        return None
    weight, epsilon = np.ones(size, np.float32), 0.0
    for node in region.nodes:
        if node.op_type == "RMSNormalization":
            epsilon = node.attributes.get_float("epsilon", 1e-5)
        for value in node.inputs:
            held = constant(value)
            if held is None or not np.issubdtype(held.dtype, np.floating):
                continue
            if node.op_type == "Add" and held.size == 1:
                epsilon = float(held.reshape(()))
            elif node.op_type in ("Mul", "RMSNormalization") and held.size == size != 1:
                weight = weight * held.reshape(-1).astype(np.float32)
    return Norm(weight, epsilon)
