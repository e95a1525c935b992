"""Recipes: small graphs as plain data, which can be drawn, written down, changed and built.

A recipe names operators and their settings, never a shape behind its inputs: shapes and weights
follow from the inputs when it is built, so that one with smaller inputs or fewer steps is a recipe
too. One that makes no sense (a crop of more than there is) raises `ImpossibleError`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 21
Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Limits:
    """How large a graph may be.

    Attributes:
        inputs: elements of an input.
        elements: of any tensor.
        macs: of one operator.
    """

    inputs: int
    elements: int
    macs: int


SMALL = Limits(inputs=24_000, elements=65_536, macs=30_000_000)
"""A graph takes milliseconds."""
LARGE = Limits(inputs=400_000, elements=1_600_000, macs=300_000_000)
"""The size of a network's layers: a graph takes seconds."""


class ImpossibleError(Exception):
    """The recipe makes no sense at these shapes."""


@dataclass(frozen=True)
class Step:
    """One operator, or a few that networks use as one.

    Attributes:
        operator: its name in `operators.TABLE`.
        inputs: which values it reads: first the inputs of the graph count, then what the steps
            give.
        settings: as its function wants them; plain JSON.
        seed: of its weights.
    """

    operator: str
    inputs: tuple[int, ...]
    settings: Settings
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "operator": self.operator,
            "inputs": list(self.inputs),
            "settings": dict(self.settings),
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Recipe:
    """A graph.

    Attributes:
        inputs: shape of each input.
        data: kind of each input's values, see `samples`.
        steps: in order; each gives one value.
        outputs: values that leave the graph beside those that no step reads.
        seed: of the inputs' values.
    """

    inputs: tuple[Shape, ...]
    data: tuple[str, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...] = ()
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "inputs": [list(shape) for shape in self.inputs],
            "data": list(self.data),
            "steps": [step.to_json() for step in self.steps],
            "outputs": list(self.outputs),
            "seed": self.seed,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Recipe:
        """What `to_json` gave."""
        steps = tuple(
            Step(one["operator"], tuple(one["inputs"]), one["settings"], one["seed"])
            for one in data["steps"]
        )
        inputs = tuple(tuple(shape) for shape in data["inputs"])
        return Recipe(inputs, tuple(data["data"]), steps, tuple(data["outputs"]), data["seed"])

    @property
    def chain(self) -> str:
        """The operators: `Conv > SiLU > Concat`."""
        return " > ".join(step.operator for step in self.steps)


@dataclass(frozen=True)
class Value:
    """A tensor of real numbers in a graph that is being built."""

    name: str
    shape: Shape


@dataclass
class Builder:
    """Collects the nodes and weights of one graph; `prefix` keeps names of several apart."""

    prefix: str = ""
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    outputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    limits: Limits = LARGE
    rng: np.random.Generator = field(default_factory=np.random.default_rng)
    _count: int = 0

    def fresh(self, stem: str) -> str:
        """A name that is not taken."""
        self._count += 1
        return f"{self.prefix}{stem}_{self._count}"

    def constant(self, array: Any, dtype: type = np.float32) -> str:
        """A weight."""
        name = self.fresh("c")
        self.weights.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def integers(self, values: Sequence[int]) -> str:
        """A constant of whole numbers: a shape, axes, pads."""
        return self.constant(list(values), np.int64)

    def apply(
        self, op_type: str, inputs: Sequence[Value | str], shape: Shape, **attributes: Any
    ) -> Value:
        """Adds a node with one output of the given shape."""
        return self.several(op_type, inputs, [shape], **attributes)[0]

    def several(
        self,
        op_type: str,
        inputs: Sequence[Value | str],
        shapes: Sequence[Shape],
        **attributes: Any,
    ) -> list[Value]:
        """Adds a node with an output of each shape."""
        if any(math.prod(shape) > self.limits.elements or 0 in shape for shape in shapes):
            raise ImpossibleError("too large, or nothing left")
        outputs = [Value(self.fresh(op_type.lower()), tuple(map(int, shape))) for shape in shapes]
        names = [one.name if isinstance(one, Value) else one for one in inputs]
        node = helper.make_node(
            op_type,
            names,
            [value.name for value in outputs],
            name=f"{self.prefix}n{len(self.nodes)}_{op_type}",
            **{key: value for key, value in attributes.items() if value is not None},
        )
        self.nodes.append(node)
        return outputs


Emit = Callable[[Builder, Sequence[Value], Settings], Value]


def build_into(builder: Builder, recipe: Recipe, emitters: Mapping[str, Emit]) -> None:
    """Adds a recipe's graph to what the builder holds.

    Raises:
        ImpossibleError: the recipe makes no sense.
    """
    values = []
    for index, shape in enumerate(recipe.inputs):
        value = Value(f"{builder.prefix}x{index}", shape)
        builder.inputs.append(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, shape))
        values.append(value)
    read: set[int] = set()
    for step in recipe.steps:
        builder.rng = np.random.default_rng([step.seed, 17])
        if max(step.inputs) >= len(values):
            raise ImpossibleError("reads what is not there yet")
        values.append(
            emitters[step.operator](
                builder, [values[index] for index in step.inputs], step.settings
            )
        )
        read.update(step.inputs)
    first = len(recipe.inputs)
    if not recipe.steps or any(index not in read for index in range(first)):
        raise ImpossibleError("an input that nothing reads")
    for index in range(first, len(values)):
        if index not in read or index in recipe.outputs:
            value = values[index]
            named = f"{builder.prefix}y{index - first}"
            builder.nodes.append(
                helper.make_node("Identity", [value.name], [named], name=f"{named}_out")
            )
            builder.outputs.append(
                helper.make_tensor_value_info(named, TensorProto.FLOAT, value.shape)
            )


def finish(builder: Builder) -> onnx.ModelProto:
    """The model that a builder holds."""
    graph = helper.make_graph(
        builder.nodes, "hunt", builder.inputs, builder.outputs, builder.weights
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)


def samples(recipe: Recipe, prefix: str, count: int) -> list[dict[str, Array]]:
    """Values of the inputs, by their names."""
    rng = np.random.default_rng([recipe.seed, 23])
    return [
        {
            f"{prefix}x{index}": _data(kind, shape, rng)
            for index, (shape, kind) in enumerate(zip(recipe.inputs, recipe.data, strict=True))
        }
        for _ in range(count)
    ]


def _data(kind: str, shape: Shape, rng: np.random.Generator) -> Array:
    """`normal`, `small`, `large`, `image` (0 to 1), `positive`, `shifted` or `channels`."""
    normal = rng.standard_normal(shape)
    scaled = {
        "normal": normal,
        "small": normal * 0.05,
        "large": normal * 20,
        "image": rng.random(shape),
        "positive": np.maximum(normal, 0),
        "shifted": normal + 3,
        "channels": normal
        * np.geomspace(0.1, 3, shape[min(1, len(shape) - 1)]).reshape(
            [-1 if axis == min(1, len(shape) - 1) else 1 for axis in range(len(shape))]
        ),
    }
    return np.asarray(scaled[kind], np.float32)


DATA_KINDS = ("normal", "small", "large", "image", "positive", "shifted", "channels")
