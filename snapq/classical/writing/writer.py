"""Collects the nodes of an ONNX model that steps of the host become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from snapq.classical.program import Step
from snapq.errors import ModelError

OPSET, ML_OPSET, IR_VERSION = 18, 5, 10
ML_DOMAIN = "ai.onnx.ml"


class Writer:
    """Nodes and constants of a graph that is being written.

    Args:
        prefix: how names of values begin; other in a graph within a graph.
    """

    def __init__(self, prefix: str = "v") -> None:
        self._prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self._names: dict[str, str] = {}
        self._known: dict[bytes, str] = {}
        self._count = 0

    def name(self, value: str) -> str:
        """The name of a step's value in the model: a short one but for inputs and outputs."""
        if value and value not in self._names:
            self._names[value] = self.fresh()
        return self._names.get(value, "")

    def keep(self, names: Sequence[str]) -> None:
        """Keeps the names of inputs and outputs."""
        self._names.update((name, name) for name in names)

    def fresh(self) -> str:
        """A name that no value has."""
        self._count += 1
        name = f"{self._prefix}{self._count}"
        return name if name not in self._names.values() else self.fresh()

    def constant(self, value: Any, name: str | None = None) -> str:
        """Adds a constant and gives its name; equal ones without a name given are one."""
        array: NDArray[Any] = np.asarray(value)
        if array.dtype.kind == "U":
            tensor = onnx.TensorProto(data_type=onnx.TensorProto.STRING, dims=array.shape)
            tensor.string_data.extend(str(text).encode() for text in array.reshape(-1))
        else:
            tensor = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape))
        key = tensor.SerializeToString()
        if name is None:
            if key in self._known:
                return self._known[key]
            name = self.fresh()
            self._known[key] = name
        tensor.name = name
        self.constants[name] = tensor
        return name

    def add(
        self,
        op: str,
        *inputs: str,
        outputs: Sequence[str] | None = None,
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Adds a node and gives the name of its first output."""
        names = [self.fresh()] if outputs is None else list(outputs)
        node = helper.make_node(op, list(inputs), names, domain=domain, **attributes)
        self.nodes.append(node)
        return names[0]

    def as_branch(self, output: str) -> onnx.GraphProto:
        """The nodes as a branch of an `If`, which gives one float tensor.

        Args:
            output: the name of that tensor.
        """
        info = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        return helper.make_graph(self.nodes, "branch", [], [info], list(self.constants.values()))


Write = Callable[[Writer, Step], None]
_WRITERS: dict[str, Write] = {}


def writes(*ops: str) -> Callable[[Write], Write]:
    """Enters a function that writes the steps of some operations as nodes."""

    def enter(function: Write) -> Write:
        _WRITERS.update((op, function) for op in ops)
        return function

    return enter


def write_step(writer: Writer, step: Step) -> None:
    """Writes one step.

    Raises:
        ModelError: no ONNX operators say what it does.
    """
    if step.op not in _WRITERS:
        raise ModelError(f"The host's step '{step.op}' has no form in ONNX; run it in NumPy.")
    _WRITERS[step.op](writer, step)
