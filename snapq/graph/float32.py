"""Half- and double-precision models made 32-bit: the form that quantization and the NPU take."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import onnx
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.errors import ModelError
from snapq.graph.shapes import graph_inputs

_OTHER_FLOATS = frozenset({ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE})
_BOTH = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE})
_TYPE_ATTRIBUTES = ("to", "dtype", "stash_type", "output_datatype", "output_dtype", "precision")


def convert_to_float32(model: ir.Model) -> int:
    """Makes every 16- and 64-bit float of the model a 32-bit one, in place.

    1. Weights and constants are converted; doubles beyond the range of float32 go to its ends.
    2. Inputs, outputs and intermediate values change their type.
    3. Operators that name a type (Cast, EyeLike, RandomNormal …) name float32.

    Returns:
        The number of values and constants that changed.
    """
    count = 0
    for graph in model.graphs():
        for value in (*graph.inputs, *graph.initializers.values()):
            count += _convert_value(value)
        for node in graph:
            for output in node.outputs:
                count += _convert_value(output)
            for attribute in tuple(node.attributes.values()):
                count += _convert_attribute(node, attribute)
    return count


def float32_at_the_boundary(model: ir.Model) -> tuple[int, tuple[str, ...]]:
    """As `convert_to_float32`; also a sentence that names inputs and outputs that changed."""
    values = (*model.graph.inputs, *model.graph.outputs)
    before = [value.dtype for value in values]
    count = convert_to_float32(model)
    changed = [
        f"'{value.name}' ({str(dtype).lower()})"
        for value, dtype in zip(values, before, strict=True)
        if value.dtype != dtype
    ]
    told = (f"Now 32-bit floats at the boundary: {', '.join(changed)}.",) if changed else ()
    return count, told


def one_kind_of_float(model: ir.Model) -> tuple[str, ...]:
    """As `float32_at_the_boundary`, of a model whose floats samples and CPUs do not have.

    1. One that has 16-bit floats; of bfloat16, CPUs lack most operators. One that is fed 64-bit
       floats: samples are those of the prepared model.
    2. One with nodes that read 32- and 64-bit floats where ONNX wants one type. Some exporters
       write such, and ONNX Runtime refuses them.
    3. One where ONNX Runtime has no implementation of an operator for 64-bit floats.
    4. Any other stays as it is.

    Types of what nodes give must be known.
    """
    halves = {ir.DataType.FLOAT16, ir.DataType.BFLOAT16}
    fed = any(value.dtype is ir.DataType.DOUBLE for value in graph_inputs(model))
    if fed or any(_dtype(value) in halves for value in _values(model)):
        return float32_at_the_boundary(model)[1]
    mixed = next((node for node in model.graph.all_nodes() if _mixes(node, model)), None)
    if mixed is not None:
        told = (
            f"'{mixed.name or mixed.outputs[0].name}' ({mixed.op_type}) reads floats of 32 and of "
            "64 bits, which ONNX does not allow: all are floats of 32 bits now."
        )
    elif missing := _without_implementation(model):
        told = (
            f"{missing} has floats of 64 bits, for which ONNX Runtime has no implementation: all "
            "are floats of 32 bits now."
        )
    else:
        return ()
    return (told, *float32_at_the_boundary(model)[1])


def _without_implementation(model: ir.Model) -> str | None:
    """The first node that ONNX Runtime does not have for the 64-bit floats around it."""
    if not any(_dtype(value) is ir.DataType.DOUBLE for value in _values(model)):
        return None
    try:
        CpuModel(model, optimize=False, prepack=False)
    except ModelError as error:
        found = re.search(r"an implementation for (\w+)\(\d+\) node with name '(.*)'", error.what)
        if found is not None:
            return f"'{found[2]}' ({found[1]})"
    return None


def _values(model: ir.Model) -> Iterator[ir.Value]:
    for graph in model.graphs():
        yield from (*graph.inputs, *graph.initializers.values())
        for node in graph:
            yield from node.outputs


def _dtype(value: ir.Value) -> ir.DataType | None:
    return value.const_value.dtype if value.const_value is not None else value.dtype


def _mixes(node: ir.Node, model: ir.Model) -> bool:
    """Whether inputs for which ONNX has one type are floats of 32 and of 64 bits."""
    read = [(at, _dtype(value)) for at, value in enumerate(node.inputs) if value is not None]
    if node.domain != "" or not _BOTH.issubset(dtype for _, dtype in read):
        return False
    try:
        formal = onnx.defs.get_schema(node.op_type, model.opset_imports.get("", 1)).inputs
    except onnx.defs.SchemaError:
        return False
    types: dict[str, set[ir.DataType | None]] = {}
    for at, dtype in read:
        own = formal[min(at, len(formal) - 1)]
        if own.is_homogeneous:
            types.setdefault(own.type_str, set()).add(dtype)
    return any(_BOTH.issubset(found) for found in types.values())


def _convert_value(value: ir.Value) -> int:
    changed = 0
    if value.const_value is not None and value.const_value.dtype in _OTHER_FLOATS:
        value.const_value = _convert_tensor(value.const_value, value.name)
        changed = 1
    if isinstance(value.type, ir.TensorType) and value.dtype in _OTHER_FLOATS:
        value.type = ir.TensorType(ir.DataType.FLOAT)
        changed = 1
    return changed


def _convert_attribute(node: ir.Node, attribute: ir.Attr) -> int:
    if attribute.is_ref():
        return 0
    name, kind = attribute.name, attribute.type
    if kind == ir.AttributeType.TENSOR and attribute.as_tensor().dtype in _OTHER_FLOATS:
        tensor = attribute.as_tensor()
        node.attributes[name] = ir.AttrTensor(name, _convert_tensor(tensor, tensor.name))
        return 1
    named = name in _TYPE_ATTRIBUTES and kind == ir.AttributeType.INT
    if named and attribute.as_int() in _OTHER_FLOATS:
        node.attributes[name] = ir.AttrInt64(name, int(ir.DataType.FLOAT))
        return 1
    return 0


def _convert_tensor(tensor: ir.TensorProtocol, name: str | None) -> ir.TensorProtocol:
    array = tensor.numpy().astype(np.float64)
    limits = np.finfo(np.float32)
    finite = np.isfinite(array)
    array[finite] = np.clip(array[finite], limits.min, limits.max)
    return ir.tensor(array.astype(np.float32), name=name)
