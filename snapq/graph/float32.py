"""Half- and double-precision models made 32-bit: the form that quantization and the NPU take."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

_OTHER_FLOATS = frozenset({ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE})
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


def halves_to_float32(model: ir.Model) -> tuple[str, ...]:
    """As `float32_at_the_boundary`, of a model that has 16-bit floats; any other stays as it is.

    So it takes samples of 32-bit floats and runs on every CPU, which lack most of bfloat16.
    """
    halves = {ir.DataType.FLOAT16, ir.DataType.BFLOAT16}
    values = (
        value
        for graph in model.graphs()
        for value in (
            *graph.inputs,
            *graph.initializers.values(),
            *(output for node in graph for output in node.outputs),
        )
    )
    return float32_at_the_boundary(model)[1] if any(v.dtype in halves for v in values) else ()


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
