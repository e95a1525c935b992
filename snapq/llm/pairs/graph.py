"""A graph of a pair, opened and understood: its layers, inputs, sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.errors import ModelError
from snapq.graph import foreign, io
from snapq.graph.edit import scalar
from snapq.graph.passes.run import clean
from snapq.graph.shapes import format_shape, graph_inputs, static_shape
from snapq.llm.pairs.export import fixed_shapes
from snapq.llm.pairs.flow import Flow, Layer
from snapq.llm.pairs.inputs import Ports, find_ports
from snapq.llm.pairs.norms import Norm, Region, norm_of
from snapq.llm.pairs.ports import Join, find_joins
from snapq.llm.pairs.roles import Block, Roles, assign_roles

__all__ = ["TakenGraph", "take_apart"]

Floats = npt.NDArray[np.float32]
_MAPPED = 1 << 26
"""Bytes of weights in a file of their own from which they are not read into memory."""
_BETWEEN = ("Add", "Cast", "Div", "Mul", "Where")
"""Operators between the product of queries and keys and its Softmax."""


@dataclass(frozen=True)
class TakenGraph:
    """One graph of a pair.

    Attributes:
        path: the file.
        model: as given, its constants folded.
        roles: of its layers.
        ports: of its inputs.
        joins: of its cache.
        head_size: width of a head.
        scale: what products of queries and keys are multiplied with in all.
        layers: by name in a decoder, such as `layers.0.q`, and `head`.
        norms: likewise, such as `layers.0.norm1`.
    """

    path: Path
    model: ir.Model
    roles: Roles
    ports: Ports
    joins: tuple[Join, ...]
    head_size: int
    scale: float
    layers: dict[str, Layer] = field(default_factory=dict)
    norms: dict[str, Norm] = field(default_factory=dict)

    @property
    def epsilon(self) -> float:
        """Of all normalizations."""
        return next(iter(self.norms.values())).epsilon


def take_apart(path: Path, sizes: tuple[int, int] | None = None) -> TakenGraph:
    """Opens a graph of a pair and finds the parts of a decoder in it.

    Args:
        path: the file.
        sizes: tokens at once and context, for which dynamic shapes are fixed; where not given they
            are refused.

    Raises:
        ModelError: the file is no such graph; the node or input is named.
    """
    where = str(path)
    model = io.load(path, limit=_MAPPED)
    io.refuse_compiled(model, path)
    _refuse_foreign(model, where)
    if sizes is not None:
        model = foreign.freeze(model, fixed_shapes(model, *sizes, where), path)
    _refuse_dynamic(model, where)
    with foreign.explaining(path):
        clean(model, Counter())
        return _taken(path, model, where)


def _taken(path: Path, model: ir.Model, where: str) -> TakenGraph:
    flow = Flow(model.graph)
    joins = tuple(find_joins(flow, where))
    roles = assign_roles(flow, joins, where)
    regions = dict(_regions(roles))
    ports = find_ports(model.graph, joins, regions["layers.0.norm1"].root, where)
    size = _head_size(roles.blocks[0].keys, ports, where)
    hidden = roles.head.shape[1]
    norms: dict[str, Norm] = {}
    for name, region in regions.items():
        found = norm_of(region, hidden, name, where)
        if found is None:
            raise ModelError(
                f"No RMS normalization stands where '{name}' of a decoder is.",
                where=where,
                hint="Only decoders of the Llama type are taken apart.",
            )
        norms[name] = found
    for index, block in enumerate(roles.blocks):
        for side, region in _turned(flow, block):
            found = norm_of(region, size, f"{side} of block {index}", where)
            if found is not None:
                norms[f"layers.{index}.{side}_norm"] = found
    epsilons = {norm.epsilon for norm in norms.values()}
    if len(epsilons) != 1:
        raise ModelError(
            f"Its normalizations have different epsilons: {sorted(epsilons)}.",
            where=where,
            hint="Only decoders of the Llama type are taken apart, which have one.",
        )
    layers = {
        f"layers.{index}.{name}": layer
        for index, block in enumerate(roles.blocks)
        for name, layer in block.named()
    }
    scale = _scale(flow, roles.blocks[0])
    return TakenGraph(
        path, model, roles, ports, joins, size, scale, {**layers, "head": roles.head}, norms
    )


def _regions(roles: Roles) -> Iterator[tuple[str, Region]]:
    """The normalizations that each decoder has."""
    for index, block in enumerate(roles.blocks):
        yield f"layers.{index}.norm1", Region(block.q.x)
        yield f"layers.{index}.norm2", Region(block.gate.x)
    yield "norm", Region(roles.head.x)


def _turned(flow: Flow, block: Block) -> Iterator[tuple[str, Region]]:
    """What lies between q and k and their product: normalizations, RoPE and factors."""
    for side, layer, end in (("q", block.q, block.queries), ("k", block.k, block.keys.new)):
        bit = layer.bit
        yield side, Region(end, layer.out, lambda value, bit=bit: bool(flow.sources(value) & bit))  # type: ignore[misc]


def _scale(flow: Flow, block: Block) -> float:
    """All factors of the products of queries and keys together."""
    product = 1.0
    for _, region in _turned(flow, block):
        product *= region.factor()
    keys = next(value for value in block.keys.product.inputs if value is not block.queries)
    assert keys is not None
    product *= Region(keys, block.keys.whole).factor()
    value = block.keys.product.outputs[0]
    for _ in range(len(_BETWEEN)):
        readers = [node for node, _ in value.uses() if node.op_type in _BETWEEN]
        if len(readers) != 1:
            break
        node = readers[0]
        other = next((scalar(v) for v in node.inputs if v is not value), None)
        if other is not None and node.op_type == "Mul":
            product *= other
        elif other is not None and node.op_type == "Div":
            product /= other
        value = node.outputs[0]
    return product


def _head_size(keys: Join, ports: Ports, where: str) -> int:
    """The width of a head: the last size of the new keys beside rows, heads and batch."""
    shape = list(static_shape(keys.new) or ())
    del shape[keys.axis]
    sizes = [size for size in shape if size != 1] or [1]
    if len(sizes) > 2:
        raise ModelError(
            f"New keys are {shape} for each of {ports.rows} rows: heads and their size, and a batch"
            " of 1, are wanted.",
            where=where,
            hint="Export the pair for a batch of 1.",
        )
    return sizes[-1]


def _refuse_foreign(model: ir.Model, where: str) -> None:
    for node in model.graph:
        if node.domain not in ("", "ai.onnx") or node.op_type == "Attention":
            of = f" of {node.domain}" if node.domain else ""
            raise ModelError(
                f"{node.op_type} '{node.name}'{of} does in one operator what a pair does in plain "
                "ones.",
                where=where,
                hint="Export with attention written out (`attn_implementation='eager'`), or give "
                "the weights to `snapq llm init`.",
            )


def _refuse_dynamic(model: ir.Model, where: str) -> None:
    for value in graph_inputs(model):
        if static_shape(value) is None or any(size <= 0 for size in static_shape(value) or ()):
            raise ModelError(
                f"The input '{value.name}' {format_shape(value.shape)} has no fixed shape.",
                where=where,
                hint="Export both graphs with fixed shapes, or give the weights or the export to "
                "`snapq llm init --context … --prefill …`, which fixes them.",
            )
