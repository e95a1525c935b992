"""Collects what a model is made of while its nodes are read one after the other.

Every step is computed on a few rows of zeros as soon as it is known, so each value has a type and
a shape from then on, and a step that cannot be computed is found while its node is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snapq.classical.estimator import Estimator, Form
from snapq.classical.program.registry import compute
from snapq.classical.program.step import Step
from snapq.classical.reading.graph import Array, Graph, Node, Port

ROWS = 3
"""Rows of the sample, where the model leaves their number open."""
CANNOT_BE_COMPUTED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
)
"""What NumPy raises where the values or the attributes of a step do not fit together."""


class Reader:
    """The steps and estimators so far.

    Attributes:
        items: in the order in which they run.
        samples: what each value is for a few rows of zeros.
        outputs: names of the model's outputs; a list of tensors becomes several.
        notes: what the reader of a report should know.
    """

    def __init__(self, graph: Graph) -> None:
        self.items: list[Step | Estimator] = []
        self.samples: dict[str, Array] = {port.name: _zeros(port) for port in graph.inputs}
        self.outputs = list(graph.outputs)
        self.notes: list[str] = []
        self._graph = graph
        self._taken = {name for node in graph.nodes for name in (*node.inputs, *node.outputs)}
        self._taken |= set(self.samples) | set(graph.constants)

    def value(self, node: Node, index: int) -> str | None:
        """The name of an input, as a value that is there; None where it is left out.

        Raises:
            ModelError: nothing makes it.
        """
        name = node.inputs[index] if index < len(node.inputs) else ""
        if not name:
            return None
        if name not in self.samples:
            if name not in self._graph.constants:
                raise node.error(f"nothing gives the value '{name}' that it reads")
            self.constant(self._graph.constants[name], name)
        return name

    def wanted(self, node: Node, index: int = 0) -> str:
        """The name of an input that must be there.

        Raises:
            ModelError: it is left out, or nothing makes it.
        """
        name = self.value(node, index)
        if name is None:
            raise node.error(f"its input {index} is left out")
        return name

    def fixed(self, node: Node, index: int) -> Array:
        """An input that must be a constant of the file.

        Raises:
            ModelError: it is computed or left out.
        """
        name = node.inputs[index] if index < len(node.inputs) else ""
        if name in self._graph.constants:
            return self._graph.constants[name]
        step = next(
            (item for item in self.items if isinstance(item, Step) and name in item.outputs), None
        )
        if step is None or step.op != "Constant":
            raise node.error(f"its input {index} must be a constant")
        return step.arrays["value"]

    def fresh(self, name: str) -> str:
        """A name that no value has."""
        number, free = 0, name
        while free in self._taken:
            number += 1
            free = f"{name}_{number}"
        self._taken.add(free)
        return free

    def constant(self, value: Any, name: str | None = None) -> str:
        """Adds a constant and gives its name."""
        array = np.asarray(value)
        return self.add(
            "Constant", arrays={"value": array}, outputs=[name or self.fresh("constant")]
        )

    def add(
        self,
        op: str,
        *inputs: str | None,
        attributes: dict[str, Any] | None = None,
        arrays: dict[str, Array] | None = None,
        outputs: Sequence[str] | None = None,
    ) -> str:
        """Adds a step and computes it for the sample.

        Args:
            op: its operation.
            inputs: names of values; None for one that is left out.
            attributes: see `Step`.
            arrays: see `Step`.
            outputs: names of what it makes; without, one new name.

        Returns:
            The name of its first output.
        """
        names = (
            tuple(self.fresh(op.lower()) for _ in range(1)) if outputs is None else tuple(outputs)
        )
        step = Step(op, tuple(name or "" for name in inputs), names, attributes or {}, arrays or {})
        tried = replace(step, attributes={**step.attributes, "any_values": 1})
        with np.errstate(all="ignore"):
            made = compute(tried, [self.samples[name] if name else None for name in step.inputs])
        if any(value is None for value in made):
            raise ValueError("an input is left out")
        self.samples.update((name, value) for name, value in zip(names, made, strict=False) if name)
        self.items.append(step)
        return names[0]

    def estimate(self, form: Form, rows: str) -> str:
        """Adds an estimator and gives the name of its sums, float64 [N, targets]."""
        sums = self.fresh("sums")
        self.samples[sums] = np.zeros((len(self.samples[rows]), form.targets))
        self.items.append(Estimator(form, rows, sums))
        return sums

    def rows(self, node: Node, double: Callable[[str], str] | None = None) -> str:
        """The first input of an estimator as float32 [N, F].

        Args:
            node: the estimator.
            double: what makes float32 of float64 (the nearest value if not given).

        Raises:
            ModelError: it is no matrix of numbers.
        """
        name = self.wanted(node)
        sample = self.samples[name]
        if sample.dtype.kind not in "fiub" or sample.ndim not in (1, 2):
            raise node.error("its input is no table of numbers [rows, columns]")
        if sample.dtype == np.float64 and double is not None:
            name = double(name)
        elif sample.dtype != np.float32:
            name = self.add("Cast", name, attributes={"to": 1})
        if sample.ndim == 1:
            name = self.add("Reshape", name, self.constant(np.array([1, -1], np.int64)))
        return name


def _zeros(port: Port) -> Array:
    lengths = [length or (ROWS if axis == 0 else 1) for axis, length in enumerate(port.shape)]
    return np.zeros(lengths, port.dtype)
