"""A small kit to write a graph node by node, with weights that go to one file as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

__all__ = ["OPSET", "Constants", "GraphBuilder", "sizes"]

OPSET = 23
"""The first with RMSNormalization; the NPU's provider takes it."""
_ALIGNMENT = 4096
"""Bytes: what a file can be mapped at."""

Array = npt.NDArray[np.generic]


def sizes(value: ir.Value) -> list[int]:
    """The shape of a value, which is known."""
    assert value.shape is not None
    return [int(size) for size in value.shape.numpy()]


class Constants:
    """Writes constants into one file, each name once, whichever graph asks for it first.

    Args:
        folder: of the graphs.
        name: of the file in it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._file = (folder / name).open("wb")
        self._written: dict[str, ir.ExternalTensor] = {}

    def close(self) -> None:
        """Ends the file."""
        self._file.close()

    def tensor(self, name: str, make: Callable[[], Array]) -> ir.ExternalTensor:
        """The constant of that name; `make` is called where it is new."""
        if name not in self._written:
            values = np.ascontiguousarray(make())
            self._file.write(bytes(-self._file.tell() % _ALIGNMENT))
            offset = self._file.tell()
            self._file.write(values.data if values.size else b"")
            self._written[name] = ir.ExternalTensor(
                self._name,
                offset,
                values.nbytes,
                ir.DataType.from_numpy(values.dtype),
                shape=ir.Shape(values.shape),
                name=name,
                base_dir=str(self._folder),
            )
        return self._written[name]


class GraphBuilder:
    """A graph that grows; every value is named as the node that makes it.

    Args:
        name: of the graph.
        constants: where weights go.
    """

    def __init__(self, name: str, constants: Constants) -> None:
        self.graph = ir.Graph([], [], nodes=[], name=name, opset_imports={"": OPSET})
        self._constants = constants

    def input(self, name: str, shape: Sequence[int], dtype: ir.DataType) -> ir.Value:
        """Adds an input."""
        value = ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(dtype))
        self.graph.inputs.append(value)
        return value

    def output(self, value: ir.Value) -> None:
        """Adds an output."""
        self.graph.outputs.append(value)

    def weight(self, name: str, make: Callable[[], Array]) -> ir.Value:
        """A constant of the file that graphs share; `make` gives it where it is not there yet."""
        known = self.graph.initializers.get(name)
        if known is not None:
            return known
        tensor = self._constants.tensor(name, make)
        return self._register(name, tensor)

    def constant(self, name: str, array: Array) -> ir.Value:
        """A small constant inside of the graph's own file."""
        known = self.graph.initializers.get(name)
        if known is not None:
            return known
        return self._register(name, ir.Tensor(array, name=name))

    def integers(self, name: str, *values: int) -> ir.Value:
        """A constant of int64."""
        return self.constant(name, np.array(values, np.int64))

    def node(
        self,
        op_type: str,
        name: str,
        inputs: Sequence[ir.Value],
        shape: Sequence[int],
        **attributes: Any,
    ) -> ir.Value:
        """Adds a node of one output of float32; returns that."""
        return self.nodes(op_type, name, inputs, [shape], **attributes)[0]

    def nodes(
        self,
        op_type: str,
        name: str,
        inputs: Sequence[ir.Value],
        shapes: Sequence[Sequence[int]],
        **attributes: Any,
    ) -> tuple[ir.Value, ...]:
        """Adds a node; its outputs are `name`, or `name.0`, `name.1`, … where it has several."""
        names = [name] if len(shapes) == 1 else [f"{name}.{i}" for i in range(len(shapes))]
        outputs = [
            ir.Value(name=own, shape=ir.Shape(shape), type=ir.TensorType(ir.DataType.FLOAT))
            for own, shape in zip(names, shapes, strict=True)
        ]
        node = ir.node(op_type, inputs, attributes=attributes, outputs=outputs, name=name)
        self.graph.append(node)
        return tuple(outputs)

    def reshape(self, name: str, value: ir.Value, *shape: int) -> ir.Value:
        """The value in another shape."""
        target = self.integers("shape_" + "x".join(map(str, shape)), *shape)
        return self.node("Reshape", name, [value, target], shape)

    def transpose(self, name: str, value: ir.Value, *axes: int) -> ir.Value:
        """The value with its axes in another order."""
        shape = sizes(value)
        ordered = [shape[axis] for axis in axes]
        return self.node("Transpose", name, [value], ordered, perm=list(axes))

    def _register(self, name: str, tensor: ir.TensorProtocol) -> ir.Value:
        value = ir.Value(
            name=name,
            shape=ir.Shape(tensor.shape.numpy()),
            type=ir.TensorType(tensor.dtype),
            const_value=tensor,
        )
        self.graph.register_initializer(value)
        return value
