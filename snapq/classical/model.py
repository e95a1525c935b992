"""A classical model as it was read: the host's steps, and the estimators between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from snapq.classical.estimator import Estimator, Form
from snapq.classical.on_host import estimator_steps
from snapq.classical.program import Program, Step
from snapq.classical.program.registry import compute
from snapq.classical.reading import Port, read_graph, read_items
from snapq.classical.reading.graph import ML_DOMAIN
from snapq.classical.reading.reader import CANNOT_BE_COMPUTED
from snapq.errors import DataError

__all__ = ["ClassicalModel", "Estimator", "Form", "Parts", "Port", "is_classical"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Parts:
    """A model as it is deployed: head on the host, estimators on the NPU, tail on the host.

    Attributes:
        head: from the model's inputs to the rows of each estimator, and to whatever else the tail
            reads.
        estimators: those whose rows the head gives.
        tail: from their sums, and what else the head gives, to the model's outputs. Estimators
            that read another's result are steps of it.
    """

    head: Program
    estimators: tuple[Estimator, ...]
    tail: Program


@dataclass(frozen=True)
class ClassicalModel:
    """What a model of ai.onnx.ml computes.

    Attributes:
        inputs: what it is given.
        outputs: names of what it gives back.
        items: steps and estimators in the order in which they run.
        notes: what the reader of a report should know.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[str, ...]
    items: tuple[Step | Estimator, ...]
    notes: tuple[str, ...]

    @classmethod
    def read(
        cls,
        model: onnx.ModelProto | ir.Model,
        *,
        outputs: tuple[str, ...] | None = None,
        shapes: Mapping[str, tuple[int | None, ...]] | None = None,
        merged: bool = True,
    ) -> ClassicalModel:
        """Reads a model of ai.onnx.ml.

        Args:
            model: as skl2onnx, onnxmltools and others write it.
            outputs: those that are wanted; without, all.
            shapes: of inputs by name, where they are other than the model declares.
            merged: whether estimators take in what stands around them; without, each has the
                columns and leaf values of its node.

        Raises:
            ModelError: an operator, a type or a use of it is not covered.
        """
        proto = ir.to_proto(model) if isinstance(model, ir.Model) else model
        graph = read_graph(proto, outputs, shapes or {})
        reader = read_items(graph, merged=merged)
        return cls(graph.inputs, tuple(reader.outputs), tuple(reader.items), tuple(reader.notes))

    @property
    def estimators(self) -> tuple[Estimator, ...]:
        """All of its estimators."""
        return tuple(item for item in self.items if isinstance(item, Estimator))

    def run(self, feeds: Mapping[str, Array] | Array) -> dict[str, Array]:
        """Computes the outputs in NumPy, every estimator by its plain form.

        Args:
            feeds: an array for each input; or the rows [N, F] of the only one.

        Returns:
            An array for each output.

        Raises:
            DataError: a step has no answer to such rows.
        """
        values = self.values(feeds)
        return {name: values[name] for name in self.outputs}

    def values(self, feeds: Mapping[str, Array] | Array) -> dict[str, Array]:
        """Computes every value by its name; see `run`."""
        values = self._feeds(feeds)
        with np.errstate(all="ignore"):
            for item in self.items:
                if isinstance(item, Estimator):
                    values[item.sums] = item.form.sums(values[item.rows])
                    continue
                given = [values[name] if name else None for name in item.inputs]
                try:
                    values.update(zip(item.outputs, compute(item, given), strict=False))
                except CANNOT_BE_COMPUTED as error:
                    where = f"value '{item.outputs[0]}' ({item.op})"
                    raise DataError(f"it cannot be computed: {error}", where=where) from error
        return values

    def _feeds(self, feeds: Mapping[str, Array] | Array) -> dict[str, Array]:
        if isinstance(feeds, np.ndarray):
            if len(self.inputs) != 1:
                raise ValueError(f"the model has {len(self.inputs)} inputs; give each by its name")
            feeds = {self.inputs[0].name: feeds}
        return {port.name: np.asarray(feeds[port.name], port.dtype) for port in self.inputs}

    def program(self) -> Program:
        """The whole model as steps of the host."""
        names = tuple(port.name for port in self.inputs)
        return Program(names, self.outputs, tuple(_as_steps(self.items)))

    def parts(self) -> Parts:
        """Splits the model into head, estimators for the NPU, and tail."""
        first, behind = self._on_npu()
        tail = tuple(_as_steps(item for item in self.items if id(item) in behind))
        sums = tuple(estimator.sums for estimator in first)
        given = {port.name for port in self.inputs}
        before = [item for item in self.items if isinstance(item, Step) and id(item) not in behind]
        given.update(name for step in before for name in step.outputs)
        made = {name for step in tail for name in step.outputs}
        read = [name for step in tail for name in step.inputs] + list(self.outputs)
        passed = dict.fromkeys(name for name in read if name in given and name not in made)
        rows = dict.fromkeys(estimator.rows for estimator in first)
        # Constants that only the tail reads are its own.
        constants = {step.outputs[0]: step for step in before if step.op == "Constant"}
        own = tuple(constants[name] for name in passed if name in constants)
        passed = dict.fromkeys(name for name in passed if name not in constants)
        wanted = tuple({**rows, **passed})
        names = tuple(port.name for port in self.inputs)
        head = Program(names, wanted, _needed(before, wanted))
        return Parts(head, tuple(first), Program((*sums, *passed), self.outputs, (*own, *tail)))

    def _on_npu(self) -> tuple[list[Estimator], set[int]]:
        """Estimators that read no other's result, and the items that do."""
        behind: set[int] = set()
        late: set[str] = set()
        first = []
        for item in self.items:
            reads = (item.rows,) if isinstance(item, Estimator) else item.inputs
            if late.intersection(reads):
                behind.add(id(item))
                late.update([item.sums] if isinstance(item, Estimator) else item.outputs)
            elif isinstance(item, Estimator):
                first.append(item)
                late.add(item.sums)
        return first, behind


def _needed(steps: list[Step], wanted: tuple[str, ...]) -> tuple[Step, ...]:
    """The steps that some values need."""
    names, kept = set(wanted), []
    for step in reversed(steps):
        if names.intersection(step.outputs):
            names.update(step.inputs)
            kept.append(step)
    return tuple(reversed(kept))


def _as_steps(items: Any) -> list[Step]:
    steps: list[Step] = []
    for item in items:
        steps.extend(estimator_steps(item) if isinstance(item, Estimator) else [item])
    return steps


def is_classical(model: onnx.ModelProto | ir.Model) -> bool:
    """Whether a model holds an operator of ai.onnx.ml."""
    if isinstance(model, ir.Model):
        return any(node.domain == ML_DOMAIN for node in model.graph)
    return any(node.domain == ML_DOMAIN for node in model.graph.node)
