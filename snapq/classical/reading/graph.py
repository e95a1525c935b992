"""The nodes of a model that matter, with their attributes as plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from snapq.errors import ModelError

ML_DOMAIN = "ai.onnx.ml"
MOST_COLUMNS = 1_000_000
"""Of an input; no table of features has more."""
Array = NDArray[Any]


@dataclass(frozen=True)
class Node:
    """A node, read from its protobuf.

    Attributes:
        op: its operator.
        domain: empty for ONNX itself.
        name: its name, or one made of its first output where it has none.
        inputs: names of values; empty for one that is left out.
        outputs: names of values; empty for one that is left out.
        attributes: numbers, strings, lists of these, arrays.
        version: of the operator set that it belongs to.
    """

    op: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    version: int

    def error(self, what: str, hint: str | None = None) -> ModelError:
        """Makes the error that something of this node cannot be taken."""
        return ModelError(what, where=f"node '{self.name}' ({self.op})", hint=hint)

    def array(self, name: str, dtype: Any) -> Array:
        """An attribute that is a list (or a tensor `NAME_as_tensor`) as an array; empty if absent.

        Raises:
            ModelError: it holds something else.
        """
        value = self.attributes.get(name)
        if value is None:
            value = self.attributes.get(f"{name}_as_tensor", ())
        try:
            return np.asarray(value, dtype).reshape(-1)
        except (TypeError, ValueError, OverflowError) as error:
            raise self.error(f"the attribute '{name}' is no list of numbers") from error


@dataclass(frozen=True)
class Port:
    """An input of the model.

    Attributes:
        name: its name.
        dtype: its element type.
        shape: its lengths; None where one is open.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Graph:
    """What a model computes.

    Attributes:
        nodes: those that the outputs need, each behind those that it reads.
        constants: values that the file holds.
        inputs: what the model is given, as far as the outputs need it.
        outputs: names of what it gives back.
    """

    nodes: tuple[Node, ...]
    constants: dict[str, Array]
    inputs: tuple[Port, ...]
    outputs: tuple[str, ...]


def read_graph(
    model: onnx.ModelProto,
    outputs: tuple[str, ...] | None,
    shapes: Mapping[str, tuple[int | None, ...]],
) -> Graph:
    """Reads the nodes that some outputs need.

    Args:
        model: of ONNX and ai.onnx.ml.
        outputs: those that are wanted; None for all.
        shapes: of inputs by name, where they are other than the model declares.

    Raises:
        ModelError: the graph is no order of nodes, or an attribute, a type or a shape cannot be
            read.
    """
    graph = model.graph
    if graph.sparse_initializer:
        raise ModelError("The model holds sparse constants, which are not read.")
    versions: dict[str, int] = {}
    for opset in model.opset_import:  # a converter may list a domain twice
        domain = "" if opset.domain == "ai.onnx" else opset.domain
        versions[domain] = max(versions.get(domain, 0), opset.version)
    constants = {tensor.name: _values(tensor, tensor.name) for tensor in graph.initializer}
    nodes = [_node(proto, versions) for proto in graph.node]
    names = tuple(output.name for output in graph.output) if outputs is None else outputs
    live = _needed(nodes, names, constants)
    read = {name for node in live for name in node.inputs} | set(names)
    inputs = tuple(
        _port(value, shapes.get(value.name))
        for value in graph.input
        if value.name in read and value.name not in constants
    )
    return Graph(tuple(live), constants, inputs, names)


def _needed(nodes: list[Node], outputs: tuple[str, ...], constants: dict[str, Array]) -> list[Node]:
    """The nodes that the outputs need, in an order in which they can run."""
    maker = {name: node for node in nodes for name in node.outputs if name}
    order: list[Node] = []
    state: dict[int, bool] = {}  # False: what it reads is being visited; True: it is in the order
    for output in outputs:
        stack = [output]
        while stack:
            node = maker.get(stack[-1]) if stack[-1] not in constants else None
            if node is None or state.get(id(node)):
                stack.pop()
                continue
            waiting = [
                name
                for name in node.inputs
                if name in maker and name not in constants and not state.get(id(maker[name]))
            ]
            if not waiting:
                state[id(node)] = True
                order.append(node)
            elif id(node) in state:
                raise node.error("it reads what is computed of its own result")
            else:
                state[id(node)] = False
                stack.extend(waiting)
                continue
            stack.pop()
    return order


def _node(proto: onnx.NodeProto, versions: dict[str, int]) -> Node:
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    name = proto.name or next((f"of {output}" for output in proto.output if output), "without name")
    # onnxmltools leaves the domain '' out of its list where it uses Cast and Identity only.
    version = versions.get(domain, 1 if domain == ML_DOMAIN else 13)
    node = Node(proto.op_type, domain, name, tuple(proto.input), tuple(proto.output), {}, version)
    for attribute in proto.attribute:
        node.attributes[attribute.name] = _attribute(node, attribute)
    return node


def _attribute(node: Node, proto: onnx.AttributeProto) -> Any:
    try:
        value = onnx.helper.get_attribute_value(proto)
        if isinstance(value, bytes):
            return value.decode()
        if isinstance(value, onnx.TensorProto):
            return _values(value, proto.name)
        if proto.type == onnx.AttributeProto.STRINGS:
            return [text.decode() for text in value]
    except (KeyError, ValueError, TypeError) as error:
        raise node.error(f"the attribute '{proto.name}' cannot be read") from error
    return list(value) if proto.type in _LISTS else value


_LISTS = (onnx.AttributeProto.FLOATS, onnx.AttributeProto.INTS)


def _values(tensor: onnx.TensorProto, name: str) -> Array:
    """The values of a constant; text as NumPy's own type for it."""
    try:
        array: Array = numpy_helper.to_array(tensor)
        if tensor.data_type != onnx.TensorProto.STRING:
            return array
        texts = [item.decode() if isinstance(item, bytes) else str(item) for item in array.flat]
        return np.array(texts, np.str_).reshape(array.shape)
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise ModelError("the constant cannot be read", where=f"value '{name}'") from error


def _port(value: onnx.ValueInfoProto, shape: tuple[int | None, ...] | None) -> Port:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        raise ModelError(
            "the input is a map or a list, which neither the NPU nor the host's part takes",
            where=f"input '{value.name}'",
            hint="Convert the model with numbers in a table [rows, columns] as its input.",
        )
    tensor = value.type.tensor_type
    if tensor.elem_type == onnx.TensorProto.STRING:
        raise ModelError(
            "features that are text are not covered",
            where=f"input '{value.name}'",
            hint="Encode categories as numbers before the model, and convert it without them.",
        )
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError("its type is not known", where=f"input '{value.name}'") from error
    if shape is None:
        shape = tuple(
            axis.dim_value if axis.HasField("dim_value") and axis.dim_value > 0 else None
            for axis in tensor.shape.dim
        )
    if not shape or None in shape[1:]:
        raise ModelError(
            "how many columns it has is left open",
            where=f"input '{value.name}'",
            hint=f"Say it: `model: {{inputs: {{{value.name}: [128, 30]}}}}` for 30 columns.",
        )
    columns = math.prod(length or 1 for length in shape[1:])
    if columns > MOST_COLUMNS:
        raise ModelError(
            f"it declares {columns:,} columns, more than {MOST_COLUMNS:,}",
            where=f"input '{value.name}'",
        )
    return Port(value.name, dtype, shape)
