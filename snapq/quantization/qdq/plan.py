"""The plan of a quantized model: what each pass adds to, until Q and DQ can be written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.encodings import Encoding, QuantType
from snapq.quantization.notes import Note
from snapq.quantization.qdq.decisions import Decision, constant
from snapq.quantization.qdq.groups import Groups, Range
from snapq.quantization.qdq.parameters import Tuned
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["PlanPass", "QdqPlan", "Stored"]


@dataclass(frozen=True)
class Stored:
    """A weight, scale or bias in real numbers, shaped as the node takes it, and how it is held."""

    values: npt.NDArray[np.float32]
    encoding: Encoding


@dataclass(frozen=True)
class QdqPlan:
    """How a model will be quantized.

    The model and the groups are the plan's own, and passes change them in place; everything else
    is replaced.

    Attributes:
        model: the lowered float model.
        scheme: the precision of every node.
        imposed: encodings given from outside, by tensor name.
        tuned: weights that algorithms found, by name of the node.
        decisions: what happens to each node, in graph order.
        groups: tensors that share an encoding.
        seen: what calibration saw, by tensor name.
        ranges: of each tensor that has a range of its own.
        encodings: how each tensor is held.
        uses: how a node reads an input, where that is not how the tensor is held; for constants in
            the place of activations always.
        stored: weights, scales and biases of each node by input index, in the order of writing.
        notes: for the reader.
    """

    model: ir.Model
    scheme: Scheme
    imposed: Mapping[str, Encoding] = field(default_factory=dict)
    tuned: Mapping[str, Tuned] = field(default_factory=dict)
    decisions: Mapping[ir.Node, Decision] = field(default_factory=dict)
    groups: Groups = field(default_factory=Groups)
    seen: Mapping[str, Collector] = field(default_factory=dict)
    ranges: Mapping[ir.Value, Range] = field(default_factory=dict)
    encodings: Mapping[ir.Value, Encoding] = field(default_factory=dict)
    uses: Mapping[tuple[ir.Node, int], Encoding] = field(default_factory=dict)
    stored: Mapping[ir.Node, Mapping[int, Stored]] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()

    @property
    def graph(self) -> ir.Graph:
        """The main graph."""
        return self.model.graph

    @property
    def values(self) -> tuple[ir.Value, ...]:
        """What is fed, and what nodes give, in graph order."""
        return (*self.graph.inputs, *(value for node in self.graph for value in node.outputs))

    def read(self, node: ir.Node, index: int) -> Encoding | None:
        """How a node reads an input; None where that is no activation with an encoding."""
        value, found = node.inputs[index], self.uses.get((node, index))
        return found or (self.encodings.get(value) if value is not None else None)

    def given(self, value: ir.Value, dtype: QuantType) -> Encoding | None:
        """The imposed encoding of a constant in the place of an activation, where it fits."""
        found = self.imposed.get(str(value.name)) if constant(value) is not None else None
        fits = found is not None and found.dtype is dtype and found.axis is None
        return found if fits else None


PlanPass = Callable[[QdqPlan], QdqPlan]
