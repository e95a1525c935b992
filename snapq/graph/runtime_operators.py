"""Writes operators that only ONNX Runtime has as operators of ONNX: what its optimizer fuses.

A model that ONNX Runtime has optimized and saved (or Optimum, or onnxruntime.transformers) holds
operators of the domain com.microsoft, and SimplifiedLayerNormalization in ONNX's own. Whoever
looks at a graph knows those of ONNX.

Source: the contributed operators of ONNX Runtime (docs/ContribOperators.md of its repository).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from snapq.graph.completion import record_shapes
from snapq.graph.edit import Editor, input_at, integers, is_used, number, rank
from snapq.graph.shapes import static_shape

__all__ = ["UNDECLARED", "expand_runtime_operators"]

_DOMAIN = "com.microsoft"
_CONV = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
_GEMM = ("alpha", "beta", "transA", "transB")
_MASKED = -10000.0
"""What is added where a mask has 0, if the node does not say."""

Results = ir.Value | tuple[ir.Value | None, ...] | None
"""The outputs of a node written anew; None where it is left as it is."""


def expand_runtime_operators(model: ir.Model) -> int:
    """Replaces operators of ONNX Runtime, in place; returns how many.

    1. Gelu, FastGelu, BiasGelu and QuickGelu are their activation.
    2. FusedConv, FusedGemm and FusedMatMul are layer, sum, activation and Transposes.
    3. The Skip- and SimplifiedLayerNormalizations are Add and a normalization.
    4. EmbedLayerNormalization is Gathers, Adds and a normalization.
    5. Attention and MultiHeadAttention without a past are products and Softmax. A mask of 0 and 1
       hides keys; where it counts tokens, the mask that it was counted of does.

    Raises:
        ModelError: ONNX Runtime does not run the model, whose shapes it is asked for.
    """
    found = [node for node in model.graph if _expansion(node) is not None]
    if not found:
        return 0
    record_shapes(model)
    edit, count = Editor(model.graph), 0
    # What counts tokens is read by the attention behind: last things first.
    for node in reversed(found):
        expand = _expansion(node)
        assert expand is not None
        edit.begin(node)
        results = expand(node, edit)
        if results is None:
            continue
        several = results if isinstance(results, tuple) else (results,)
        for output, result in zip(node.outputs, several, strict=False):
            if result is not None and is_used(output):
                edit.replace(output, result)
        edit.remove_if_dead(node)
        count += 1
    return count


def _expansion(node: ir.Node) -> Callable[[ir.Node, Editor], Results] | None:
    if node.domain == _DOMAIN or node.op_type in UNDECLARED:
        return _EXPANDED.get(node.op_type)
    return None


def _gelu(node: ir.Node, edit: Editor) -> Results:
    return edit.op("Gelu", _sum(edit, *node.inputs))


def _fast_gelu(node: ir.Node, edit: Editor) -> Results:
    return edit.op("Gelu", _sum(edit, *node.inputs), approximate="tanh")


def _quick_gelu(node: ir.Node, edit: Editor) -> Results:
    factor = node.attributes.get_float("alpha", 1.702)
    x = node.inputs[0]
    return edit.op("Mul", x, edit.op("Sigmoid", edit.op("Mul", x, number(factor))))


def _fused_conv(node: ir.Node, edit: Editor) -> Results:
    x, weight, bias, added = (input_at(node, place) for place in range(4))
    result = _alike(node, edit, "Conv", (x, weight, bias), _CONV)
    return _activated(node, edit, _sum(edit, result, added))


def _fused_gemm(node: ir.Node, edit: Editor) -> Results:
    return _activated(node, edit, _alike(node, edit, "Gemm", tuple(node.inputs), _GEMM))


def _alike(
    node: ir.Node,
    edit: Editor,
    op_type: str,
    inputs: tuple[ir.Value | None, ...],
    names: tuple[str, ...],
) -> ir.Value:
    """A node with the attributes of `node` that are in `names`."""
    while inputs[-1] is None:
        inputs = inputs[:-1]
    result = edit.op(op_type, *inputs)
    maker = result.producer()
    assert maker is not None
    maker.attributes.update({n: a for n, a in node.attributes.items() if n in names})
    return result


def _activated(node: ir.Node, edit: Editor, value: ir.Value) -> Results:
    """The activation that a fused layer has."""
    kind = node.attributes.get_string("activation", "")
    listed = node.attributes.get("activation_params")
    given = list(listed.as_floats()) if listed is not None else []
    for name in ("activation_alpha", "activation_beta"):
        if name in node.attributes:
            given.append(node.attributes.get_float(name, 0.0))
    if not kind:
        return value
    if kind in ("Relu", "Tanh", "Sigmoid"):
        return edit.op(kind, value)
    if kind == "LeakyRelu":
        return edit.op(kind, value, alpha=given[0] if given else 0.01)
    if kind == "HardSigmoid":
        low, high = given if len(given) == 2 else (0.2, 0.5)
        return edit.op(kind, value, alpha=low, beta=high)
    if kind == "Clip" and len(given) == 2:
        return edit.op(kind, value, number(given[0]), number(given[1]))
    return None


def _fused_matmul(node: ir.Node, edit: Editor) -> Results:
    operands: list[ir.Value] = []
    for side, value in zip("AB", node.inputs[:2], strict=True):
        axes = rank(value)
        if value is None or axes is None:
            return None
        order = list(range(axes))
        if node.attributes.get_int(f"transBatch{side}", 0):
            order = [*order[1:-1], 0, order[-1]]
        if node.attributes.get_int(f"trans{side}", 0):
            order[-2:] = order[:-3:-1]
        turned = order != list(range(axes))
        operands.append(edit.op("Transpose", value, perm=order) if turned else value)
    product = edit.op("MatMul", *operands)
    factor = node.attributes.get_float("alpha", 1.0)
    return product if factor == 1 else edit.op("Mul", product, number(factor))


def _simplified(node: ir.Node, edit: Editor) -> Results:
    return _root_mean_square(edit, node.inputs[0], node.inputs[1], _epsilon(node, 1e-5))


def _skip_simplified(node: ir.Node, edit: Editor) -> Results:
    total = _sum(edit, node.inputs[0], node.inputs[1], input_at(node, 3))
    scaled = _root_mean_square(edit, total, node.inputs[2], _epsilon(node, 1e-5))
    return scaled, None, None, total


def _skip_norm(node: ir.Node, edit: Editor) -> Results:
    total = _sum(edit, node.inputs[0], node.inputs[1], input_at(node, 4))
    return _norm(edit, total, node.inputs[2], input_at(node, 3), node), None, None, total


def _embed_norm(node: ir.Node, edit: Editor) -> Results:
    """Words, positions and segments, summed and normalized; the count of tokens stays open."""
    words, segments = node.inputs[0], input_at(node, 1)
    shape = static_shape(words)
    if shape is None or len(shape) != 2 or is_used(node.outputs[1]):
        return None
    places = input_at(node, 8)
    first = (
        edit.op("Gather", node.inputs[3], places)
        if places is not None
        else edit.op("Gather", node.inputs[3], np.arange(shape[1]))
    )
    kinds = edit.op("Gather", input_at(node, 4), segments) if segments is not None else None
    total = _sum(edit, edit.op("Gather", node.inputs[2], words), first, kinds)
    return _norm(edit, total, node.inputs[5], node.inputs[6], node), None, total


def _attention(node: ir.Node, edit: Editor) -> Results:
    x, weight, bias = (input_at(node, place) for place in range(3))
    sizes = node.attributes.get("qkv_hidden_sizes")
    columns = static_shape(weight)
    if input_at(node, 4) is not None or columns is None or _is_used_at(node, 1):
        return None
    widths = list(sizes.as_ints()) if sizes is not None else [columns[1] // 3] * 3
    joined = _sum(edit, edit.op("MatMul", x, weight), bias)
    query, key, value = edit.ops("Split", joined, integers(*widths), outputs=3, axis=-1)
    added = _mask(node, edit, input_at(node, 3))
    if added is None:
        return None
    return _products(node, edit, (query, key, value), tuple(widths), (*added, input_at(node, 5)))


def _multi_head(node: ir.Node, edit: Editor) -> Results:
    parts = [input_at(node, place) for place in range(3)]
    shapes = [static_shape(value) for value in parts]
    past = any(input_at(node, place) is not None for place in range(6, 10))
    if past or any(shape is None or len(shape) != 3 for shape in shapes) or _is_used_at(node, 1):
        return None
    widths = tuple(shape[2] for shape in shapes if shape is not None)
    bias = input_at(node, 3)
    if bias is not None:
        pieces = edit.ops("Split", bias, integers(*widths), outputs=3, axis=0)
        parts = [_sum(edit, *pair) for pair in zip(parts, pieces, strict=True)]
    added = _mask(node, edit, input_at(node, 4))
    if added is None:
        return None
    return _products(node, edit, tuple(parts), widths, (*added, input_at(node, 5)))


def _is_used_at(node: ir.Node, place: int) -> bool:
    """Whether any output from `place` on is used: keys and values for a next call."""
    return any(is_used(output) for output in node.outputs[place:])


def _mask(node: ir.Node, edit: Editor, mask: ir.Value | None) -> tuple[ir.Value | None, ...] | None:
    """What a mask adds to the scores, `[batch, 1, 1 or queries, keys]`; None: an unknown form."""
    if mask is None:
        return (None,)
    maker = mask.producer()
    if maker is not None and maker.op_type == "EmbedLayerNormalization":
        mask = input_at(maker, 7)
        if mask is None:
            return (None,)
    elif maker is not None and maker.op_type == "ReduceSum" and rank(mask) == 1:
        mask = maker.inputs[0]
    axes = rank(mask)
    if axes not in (2, 3):
        return None
    wide = edit.op("Unsqueeze", mask, integers(1, 2) if axes == 2 else integers(1))
    hidden = edit.op("Sub", number(1), edit.op("Cast", wide, to=int(ir.DataType.FLOAT)))
    filled = node.attributes.get_float("mask_filter_value", _MASKED)
    return (edit.op("Mul", hidden, number(filled)),)


def _products(
    node: ir.Node,
    edit: Editor,
    parts: tuple[ir.Value | None, ...],
    widths: tuple[int, ...],
    added: tuple[ir.Value | None, ...],
) -> ir.Value:
    """Attention of several heads over `[batch, tokens, width]`."""
    heads = node.attributes.get_int("num_heads", 1)

    def per_head(place: int, order: tuple[int, ...]) -> ir.Value:
        split = edit.op("Reshape", parts[place], integers(0, 0, heads, widths[place] // heads))
        return edit.op("Transpose", split, perm=order)

    query, value = per_head(0, (0, 2, 1, 3)), per_head(2, (0, 2, 1, 3))
    key = per_head(1, (0, 2, 3, 1))
    factor = node.attributes.get_float("scale", 0.0) or 1 / math.sqrt(widths[0] // heads)
    scores = edit.op("Mul", edit.op("MatMul", query, key), number(factor))
    if node.attributes.get_int("unidirectional", 0):
        tokens = (static_shape(node.inputs[0]) or (1, 1))[1]
        future = np.triu(np.full((tokens, tokens), _MASKED, np.float32), 1)
        scores = edit.op("Add", scores, future)
    weights = edit.op("Softmax", _sum(edit, scores, *added), axis=-1)
    turned = edit.op("Transpose", edit.op("MatMul", weights, value), perm=(0, 2, 1, 3))
    return edit.op("Reshape", turned, integers(0, 0, widths[2]))


def _sum(edit: Editor, *terms: ir.Value | None) -> ir.Value:
    """The sum of the terms that there are."""
    first, *others = (term for term in terms if term is not None)
    for term in others:
        first = edit.op("Add", first, term)
    return first


def _epsilon(node: ir.Node, default: float) -> float:
    return node.attributes.get_float("epsilon", default)


def _norm(
    edit: Editor, x: ir.Value, scale: ir.Value | None, bias: ir.Value | None, node: ir.Node
) -> ir.Value:
    given = (scale, bias) if bias is not None else (scale,)
    return edit.op("LayerNormalization", x, *given, axis=-1, epsilon=_epsilon(node, 1e-12))


def _root_mean_square(
    edit: Editor, x: ir.Value | None, scale: ir.Value | None, epsilon: float
) -> ir.Value:
    mean = edit.op("ReduceMean", edit.op("Mul", x, x), integers(-1), keepdims=1)
    root = edit.op("Sqrt", edit.op("Add", mean, number(epsilon)))
    return edit.op("Mul", edit.op("Div", x, root), scale)


UNDECLARED = ("SimplifiedLayerNormalization",)
"""Operators of ONNX Runtime that it writes in the domain of ONNX, which has none of the name."""
_EXPANDED: dict[str, Callable[[ir.Node, Editor], Results]] = {
    "Attention": _attention,
    "BiasGelu": _gelu,
    "EmbedLayerNormalization": _embed_norm,
    "FastGelu": _fast_gelu,
    "FusedConv": _fused_conv,
    "FusedGemm": _fused_gemm,
    "FusedMatMul": _fused_matmul,
    "Gelu": _gelu,
    "MultiHeadAttention": _multi_head,
    "QuickGelu": _quick_gelu,
    "SimplifiedLayerNormalization": _simplified,
    "SkipLayerNormalization": _skip_norm,
    "SkipSimplifiedLayerNormalization": _skip_simplified,
}
"""The operators that are written anew."""
