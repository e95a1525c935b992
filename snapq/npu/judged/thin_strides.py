"""Depthwise convolutions with a stride, computed at every place and then thinned out.

The NPU has a fast path for depthwise convolutions of stride 1 (its matrix unit), and none for
others (its vector unit): in EfficientNet-Lite0 w8a8 the four with stride 2 take a quarter of the
estimated time. `y = Conv(x, stride s)` is `MaxPool(Conv(x, stride 1), kernel 1, stride s)`, value
by value (on the NPU, the two units may round the last bit differently), so where that is faster the
compiler may be given the second form. It computes `s²` times as much, so it pays where the maps are
small, towards the end of a network.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import onnx_ir as ir

from snapq.graph.edit import constant, ints_attribute
from snapq.graph.shapes import static_shape

__all__ = ["choose", "strided", "thin_out"]


def strided(model: ir.Model) -> tuple[str, ...]:
    """Names of the convolutions that `thin_out` can change, from the last to the first.

    Those are depthwise (one channel a group), two-dimensional, with a stride above 1 on both axes,
    of fixed shapes, and quantized: one QuantizeLinear per tensor reads the output, nothing else.
    """
    return tuple(str(node.name) for node in reversed(tuple(model.graph)) if _suits(node))


def thin_out(model: ir.Model, names: Collection[str]) -> ir.Model:
    """A copy in which these convolutions have stride 1 and a MaxPool behind that takes every s-th.

    Args:
        model: a Q/DQ model.
        names: convolutions, out of `strided`; others are left as they are.
    """
    result = model.clone()
    for node in tuple(result.graph):
        if node.name in names and _suits(node):
            _thin_out(node)
    return result


def choose(names: Sequence[str], cycles: Callable[[tuple[str, ...]], float]) -> tuple[str, ...]:
    """Which of these convolutions to thin out, so that the model is fastest.

    The last ones of a model gain the most; one more is added as long as the whole gets faster.

    Args:
        names: what `strided` gives.
        cycles: what the model takes with some of them thinned out.
    """
    if not names:
        return ()
    names = tuple(names)
    best, count = cycles(()), 0
    for more in range(1, len(names) + 1):
        found = cycles(names[:more])
        if found >= best:
            break
        best, count = found, more
    return names[:count]


def _suits(node: ir.Node) -> bool:
    if node.op_type != "Conv" or node.domain not in ("", "ai.onnx"):
        return False
    shape, out = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    strides = ints_attribute(node, "strides")
    if shape is None or out is None or len(shape) != 4 or strides is None:
        return False
    groups = node.attributes.get_int("group", 1)
    reader = _quantizer(node)
    return (
        groups == shape[1] == out[1] > 1
        and min(strides) > 1
        and node.attributes.get_string("auto_pad", "NOTSET") == "NOTSET"
        and reader is not None
    )


def _quantizer(node: ir.Node) -> ir.Node | None:
    """The one QuantizeLinear that reads a node's output, where it has one scale and is read on."""
    uses = node.outputs[0].uses()
    if len(uses) != 1 or node.outputs[0].is_graph_output():
        return None
    reader = next(iter(uses)).node
    if reader.op_type != "QuantizeLinear" or reader.outputs[0].is_graph_output():
        return None
    scale = constant(reader.inputs[1])
    readers = reader.outputs[0].uses()
    if scale is None or scale.size != 1 or not readers:
        return None
    return reader if all(use.node.op_type == "DequantizeLinear" for use in readers) else None


def _thin_out(node: ir.Node) -> None:
    """Changes one convolution, in place."""
    graph, quantizer = node.graph, _quantizer(node)
    assert graph is not None
    assert quantizer is not None
    strides = ints_attribute(node, "strides")
    shape, out = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    weight = static_shape(node.inputs[1])
    assert strides is not None
    assert shape is not None
    assert out is not None
    assert weight is not None
    pads = list(ints_attribute(node, "pads") or (0, 0, 0, 0))
    dilations = ints_attribute(node, "dilations") or (1, 1)
    whole = []
    for axis, (length, kernel, dilation) in enumerate(
        zip(shape[2:], weight[2:], dilations, strict=True)
    ):
        # As many places out as in, where all that come on top are not taken: the compiler has no
        # copy to make between maps of one size.
        reach = dilation * (kernel - 1)
        places = length + pads[axis] + pads[2 + axis] - reach
        more = min(length, out[2 + axis] * strides[axis]) - places
        pads[2 + axis] += max(more, 0)
        whole.append(places + max(more, 0))
    node.attributes["strides"] = ir.AttrInt64s("strides", [1, 1])
    node.attributes["pads"] = ir.AttrInt64s("pads", pads)
    name, codes = str(node.name), quantizer.outputs[0]
    encoding = quantizer.inputs[1:]
    every = ir.Shape([*out[:2], *whole])
    node.outputs[0].shape, codes.shape = every, every
    readers = list(codes.uses())
    read = ir.node("DequantizeLinear", [codes, *encoding], name=f"{name}_every_dequantized")
    thin = ir.node(
        "MaxPool",
        [read.outputs[0]],
        attributes={"kernel_shape": [1, 1], "strides": list(strides)},
        name=f"{name}_thinned",
    )
    held = ir.node("QuantizeLinear", [thin.outputs[0], *encoding], name=f"{name}_thinned_quantized")
    for made, kind, result in (
        (read, ir.DataType.FLOAT, every),
        (thin, ir.DataType.FLOAT, ir.Shape(out)),
        (held, codes.dtype, ir.Shape(out)),
    ):
        made.outputs[0].name = made.name
        made.outputs[0].shape = result
        if kind is not None:
            made.outputs[0].type = ir.TensorType(kind)
    graph.insert_after(quantizer, [read, thin, held])
    for use in readers:
        use.node.replace_input_with(use.idx, held.outputs[0])
