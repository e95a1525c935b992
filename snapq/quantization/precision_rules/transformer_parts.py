"""The parts of a transformer that share one precision, as a boundary inside of each costs time.

| part | its nodes |
|---|---|
| sums | normalizations, the sums in front of them (residuals), the layers that give these |
| attention | products of scores and values, what is between them, the layers that give q, k and v |
| feed-forward | what is left between a normalization and the next sum |

Each part holds those before it. A single channel of the sums is often a hundred times as large as
the others, which leaves these a few of 256 steps: MiniLM-L6 (text, 128 tokens) has 0.8 dB at 8 bits
for that. The NPU's Softmax takes less time at 16 bits than at 8 (22 against 82 us for 12 heads of
128 tokens, Qualcomm's estimate for QCS9075), and each change of precision takes some: MiniLM-L6
takes 1,057 us at 8 bits, 1,363 with its sums at 16, 884 with its attention too, 895 with all.
Tables of embeddings stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import onnx_ir as ir

from snapq.operators import Family, Role, Trait, quantized, spec_of
from snapq.quantization.qdq.decisions import constant, is_float, is_weighted

__all__ = ["PARTS", "transformer_parts"]

PARTS = ("sums", "attention", "feed-forward")
"""Names of the parts."""
_LEAST_NORMS = 2
_LAYERS = 2
"""Layers between a normalization and the next sum, the last one counted."""
_NORMS = ("LayerNormalization", "RMSNormalization")


def transformer_parts(graph: ir.Graph) -> dict[str, frozenset[str]]:
    """Names of the nodes of each part, by its name in the order of `PARTS`; none elsewhere.

    What is in front of a convolution belongs to none. A transformer has at least two normalizations
    of rows, and a Softmax whose result is multiplied with something computed.
    """
    norms = [node for node in graph if node.op_type in _NORMS]
    products = [user for node in graph if node.op_type == "Softmax" for user in _products(node)]
    if len(norms) < _LEAST_NORMS or not products:
        return {}
    sums = _behind((norm.inputs[0] for norm in norms), is_weighted) | set(norms)
    taken = [value for product in products for value in product.inputs]
    attention = (
        sums | set(products) | _behind(taken, lambda node: node in sums or is_weighted(node))
    )
    between = attention
    for _ in range(_LAYERS):
        read = [node.inputs[0] for node in between if is_weighted(node) and not _is_conv(node)]
        between = between | _behind(read, lambda node: node in attention or is_weighted(node))
    found = zip(PARTS, (sums, attention, between), strict=True)
    return {name: frozenset(str(node.name) for node in nodes) for name, nodes in found}


def _behind(values: Iterable[ir.Value | None], ends: Callable[[ir.Node], bool]) -> set[ir.Node]:
    """The nodes that compute these values, back to those where it ends (with them) and to norms."""
    found: set[ir.Node] = set()
    left = list(values)
    while left:
        value = left.pop()
        node = value.producer() if value is not None and is_float(value) else None
        if node is None or node in found or node.op_type in _NORMS or _is_looked_up(node):
            continue
        if quantized(node) is None:
            continue
        found.add(node)
        if not ends(node):
            left += [given for given in node.inputs if constant(given) is None]
    return found


def _is_conv(node: ir.Node) -> bool:
    """Whether a layer is a convolution, in front of which is no transformer."""
    return spec_of(node).family is Family.CONV


def _is_looked_up(node: ir.Node) -> bool:
    """Whether a node picks elements of a constant: rows of a table."""
    picks = Role.INDICES in spec_of(node).roles
    return picks and constant(node.inputs[0]) is not None


def _products(softmax: ir.Node) -> list[ir.Node]:
    """The products of two computed tensors that take what a Softmax gives, moved or as it is."""
    found, left = [], [softmax.outputs[0]]
    while left:
        for user, _ in left.pop().uses():
            if spec_of(user).has(Trait.MOVES):
                left += user.outputs
            elif spec_of(user).has(Trait.SUMS_CHANNELS) and not is_weighted(user):
                found.append(user)
    return found
