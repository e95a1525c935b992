"""A pair of graphs as the decoder that they compute: sizes and weights, and proof that it is so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.errors import ModelError
from snapq.graph import foreign
from snapq.graph.edit import constant, remove_dead_nodes, remove_unused_constants
from snapq.graph.shapes import static_shape
from snapq.llm.architecture import Decoder
from snapq.llm.pairs.flow import Layer
from snapq.llm.pairs.graph import TakenGraph, take_apart
from snapq.llm.pairs.rotary import KeysAt, Turning, measure
from snapq.llm.parts import LAYER
from snapq.llm.weights import Stored, Weights
from snapq.llm.write import Sizes

__all__ = ["TakenPair", "read_pair"]

Floats = npt.NDArray[np.float32]
_TOP = {
    "embedding.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "head.weight": "lm_head.weight",
}
_SEED = 5
Reader = Callable[[], Floats]


@dataclass(frozen=True)
class TakenPair:
    """A pair that was taken apart.

    Attributes:
        prefill: the graph of many tokens.
        decode: the graph of one.
        decoder: what both compute.
        weights: of it; those of q hold the factor of the products of queries and keys.
        sizes: context and tokens at once.
    """

    prefill: TakenGraph
    decode: TakenGraph
    decoder: Decoder
    weights: Weights
    sizes: Sizes


def read_pair(prefill: Path, decode: Path, sizes: Sizes | None = None) -> TakenPair:
    """Takes a pair apart.

    Args:
        prefill: the graph of many tokens.
        decode: the graph of one; the same file where its shapes are dynamic.
        sizes: for which dynamic shapes are fixed; where not given they are refused.

    Raises:
        ModelError: a graph is not that of a decoder of the Llama type with a cache, or the two do
            not belong together; the file and the node, input or tensor are named.
    """
    fixed = [(rows, sizes.context) for rows in (sizes.prefill, 1)] if sizes else [None, None]
    many, one = (take_apart(p, s) for p, s in zip((prefill, decode), fixed, strict=True))
    with foreign.explaining(prefill):
        return _paired(many, one)


def _paired(many: TakenGraph, one: TakenGraph) -> TakenPair:
    """Two graphs as the pair that they are. Raises `ModelError` where they are none."""
    prefill = many.path
    _check_rows(many, one)
    turning = measure(_keys_at(many), one.ports.context, many.model.graph, str(prefill))
    held = [_tensors(graph, turning.neighbours) for graph in (many, one)]
    _check_same(held[0], held[1], many, one)
    decoder = _decoder(many, turning, held[0])
    stored = {name: tensor.stored for name, tensor in held[0].items()}
    weights = Weights(decoder, stored, "transformers", prefill)
    factor = np.asarray(many.scale, np.float32)
    names = []
    for layer in range(decoder.layers):
        name = f"layers.{layer}.q"
        last = f"{name}_norm.weight"
        names += [last] if last in weights else [f"{name}.weight", f"{name}.bias"]
    scaled = weights.scaled({name: factor for name in names if name in weights})
    return TakenPair(many, one, decoder, scaled, Sizes(one.ports.context, many.ports.rows))


@dataclass(frozen=True)
class _Tensor:
    """A tensor of a decoder, and what it is called in the graph."""

    stored: Stored
    named: str


def _tensors(graph: TakenGraph, neighbours: bool) -> dict[str, _Tensor]:
    """All tensors by the names that Transformers has for them."""
    found = {}
    for name, own, read, shape in _parts(graph):
        turned = neighbours and name.rsplit(".", 2)[-2] in ("q_proj", "k_proj", "q_norm", "k_norm")

        def values(read: Reader = read, turned: bool = turned) -> Floats:
            held = read()
            return _halved(held, graph.head_size) if turned else held

        found[name] = _Tensor(Stored(own, shape, values), own)
    return found


def _parts(graph: TakenGraph) -> Iterator[tuple[str, str, Reader, tuple[int, ...]]]:
    """Name in Transformers, name in the graph, how it is read, and its shape."""
    table = graph.ports.table
    assert table.shape is not None

    def looked_up() -> Floats:
        return np.asarray(constant(table), np.float32)

    yield _TOP["embedding.weight"], str(table.name), looked_up, tuple(table.shape.numpy())
    for name, layer in graph.layers.items():
        spelt = _TOP["head.weight"] if name == "head" else _spelt(f"{name}.weight")
        yield spelt, str(layer.weight.name), layer.values, layer.shape
        bias = layer.added()
        if bias is not None and name != "head":
            assert layer.bias is not None
            yield _spelt(f"{name}.bias"), str(layer.bias.name), _given(bias), bias.shape
    for name, norm in graph.norms.items():
        spelt = _TOP["norm.weight"] if name == "norm" else _spelt(f"{name}.weight")
        yield spelt, spelt, _given(norm.weight), norm.weight.shape


def _given(values: Floats) -> Reader:
    return lambda: values


def _spelt(name: str) -> str:
    """The name in Transformers of `layers.N.PART`."""
    _, layer, part = name.split(".", 2)
    found = next(one for one in LAYER if one.name == part)
    return f"model.layers.{layer}.{found.transformers}"


def _halved(values: Floats, size: int) -> Floats:
    """Rows whose neighbours are pairs, in the order in which halves of a head are."""
    shape = values.shape
    pairs = values.reshape(-1, size // 2, 2, *shape[1:])
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(shape))


def _decoder(graph: TakenGraph, turning: Turning, tensors: Mapping[str, _Tensor]) -> Decoder:
    block, size = graph.roles.blocks[0], graph.head_size
    table = tensors[_TOP["embedding.weight"]].stored
    head = tensors[_TOP["head.weight"]].stored
    tied = head.shape == table.shape and np.array_equal(head.read(), table.read())
    family = "llama"
    if "layers.0.q_norm" in graph.norms:
        family = "qwen3"
    elif block.q.bias is not None:
        family = "qwen2"
    _check_heads(block.q, block.k, graph)
    decoder = Decoder(
        family=family,
        layers=len(graph.roles.blocks),
        hidden=table.shape[1],
        heads=block.q.shape[0] // size,
        kv_heads=block.k.shape[0] // size,
        head_size=size,
        intermediate=block.gate.shape[0],
        vocabulary=table.shape[0],
        epsilon=graph.epsilon,
        rope=turning.rope,
        tied=tied,
    )
    decoder.check(str(graph.path))
    return decoder


def _check_heads(q: Layer, k: Layer, graph: TakenGraph) -> None:
    for layer in (q, k):
        if layer.shape[0] % graph.head_size:
            raise ModelError(
                f"{layer.name} gives {layer.shape[0]} channels, which are no heads of "
                f"{graph.head_size}.",
                where=str(graph.path),
                hint="Check that the cache holds keys as heads and their size.",
            )


def _check_rows(many: TakenGraph, one: TakenGraph) -> None:
    if one.ports.rows != 1 or many.ports.rows < 2:
        raise ModelError(
            f"`prefill` takes {many.ports.rows} tokens at once and `decode` {one.ports.rows}; it "
            "must be many and 1.",
            where=str(one.path if one.ports.rows != 1 else many.path),
            hint="Check that the two files are not exchanged.",
        )
    context = one.ports.context
    if not many.ports.empty and many.ports.context != context:
        raise ModelError(
            f"`prefill` sees {many.ports.context} positions and `decode` {context}.",
            where=str(one.path),
            hint="Export both so that cache and new rows together are the same context.",
        )
    if context < 2 * many.ports.rows:
        raise ModelError(
            f"The context of {context} is less than twice the {many.ports.rows} tokens "
            "that are taken at once, which onnxruntime-genai needs.",
            where=str(one.path),
            hint="Export `prefill` for fewer tokens, or both for a longer context.",
        )


def _check_same(
    many: Mapping[str, _Tensor], one: Mapping[str, _Tensor], prefill: TakenGraph, decode: TakenGraph
) -> None:
    """Raises `ModelError` where the two graphs are not of the same weights, byte for byte."""
    for name in dict.fromkeys((*many, *one)):
        first, second = many.get(name), one.get(name)
        if first is None or second is None:
            lacking = decode if second is None else prefill
            raise ModelError(
                f"It has no '{name}', and the other graph of the pair has.",
                where=str(lacking.path),
                hint="Export both graphs from the same weights.",
            )
        if first.stored.shape != second.stored.shape or not np.array_equal(
            first.stored.read(), second.stored.read()
        ):
            raise ModelError(
                f"'{second.named}' holds other values than '{first.named}' of "
                f"{prefill.path.name}: the pair would not share its weights.",
                where=str(decode.path),
                hint="Export both graphs from the same weights.",
            )


def _keys_at(graph: TakenGraph) -> KeysAt:
    """Runs a graph up to the new keys of its first block, for tokens at one position."""
    copy = graph.model.clone()
    join = graph.roles.blocks[0].keys
    value = next(v for v in _values(copy.graph) if v.name == join.new.name)
    copy.graph.outputs[:] = [value]
    value.dtype = ir.DataType.FLOAT
    remove_dead_nodes(copy.graph)
    remove_unused_constants(copy.graph)
    read = {id(v) for node in copy.graph for v in node.inputs if v is not None}
    copy.graph.inputs[:] = [v for v in copy.graph.inputs if id(v) in read]
    needed = {str(v.name) for v in copy.graph.inputs}
    for held in copy.graph.initializers.values():  # few are left, which may lie in another file
        if isinstance(held.const_value, ir.ExternalTensor):
            held.const_value = ir.Tensor(held.const_value.numpy(), name=held.name)
    run = CpuModel(copy).run
    ids = np.random.default_rng(_SEED).integers(0, _rows_of(graph.ports.table), graph.ports.rows)

    def keys_at(position: int) -> Floats:
        feeds = graph.ports.at(ids.tolist(), position)
        found = run({name: array for name, array in feeds.items() if name in needed})
        keys = np.moveaxis(np.asarray(found[str(value.name)], np.float32), join.axis, 0)
        return keys.reshape(graph.ports.rows, -1, graph.head_size)

    return keys_at


def _rows_of(table: ir.Value) -> int:
    return (static_shape(table) or (1,))[0]


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    for node in graph:
        yield from node.outputs
