"""What a decoder's layers are made of: products by weights, and normalizations."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from snapq.llm.architecture import Decoder
from snapq.llm.cache import CacheLayout
from snapq.llm.graph.builder import GraphBuilder, sizes
from snapq.llm.weights import Weights

__all__ = ["DecoderGraph", "linear", "norm"]


@dataclass(frozen=True)
class DecoderGraph:
    """What a graph is written of.

    Attributes:
        decoder: its sizes.
        weights: its tensors; those of q hold the factor `head_size ** -0.5` of the logits.
        layout: of the cache.
        rows: tokens at once.
    """

    decoder: Decoder
    weights: Weights
    layout: CacheLayout
    rows: int


def linear(kit: GraphBuilder, source: DecoderGraph, name: str, x: ir.Value) -> ir.Value:
    """A product by a weight of the decoder, with its bias where it has one."""
    weights = source.weights
    weight = kit.weight(f"{name}.weight_transposed", lambda: weights[f"{name}.weight"].T)
    shape = [*sizes(x)[:-1], sizes(weight)[1]]
    if f"{name}.bias" not in weights:
        return kit.node("MatMul", name, [x, weight], shape)
    product = kit.node("MatMul", f"{name}_product", [x, weight], shape)
    bias = kit.weight(f"{name}.bias", lambda: weights[f"{name}.bias"])
    return kit.node("Add", name, [product, bias], shape)


def norm(kit: GraphBuilder, source: DecoderGraph, name: str, x: ir.Value) -> ir.Value:
    """An RMS normalization over the last axis."""
    weight = kit.weight(f"{name}.weight", lambda: source.weights[f"{name}.weight"])
    attributes = {"axis": -1, "epsilon": source.decoder.epsilon}
    return kit.node("RMSNormalization", name, [x, weight], sizes(x), **attributes)
