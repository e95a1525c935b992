"""Equalization of keys and values for a cache of 8 bits with one scale a tensor, exact in float.

Single channels of keys are tens of times as large as the others, and one scale for all leaves
these a few steps: SmolLM2-135M with such a cache writes nonsense, however precise all else is.
The logits are products of queries and keys, so dividing a channel of the keys by what the same
channel of the queries is multiplied by changes none of them. RoPE turns a channel of the first half
of a head with its pair of the second, so both have the same factor. What attention gives is a sum
of values that the layer behind multiplies by its weights, which take a factor of values likewise.
Source of the idea: cross-layer equalization, Nagel et al., arXiv:1906.04721.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import constant
from snapq.llm.files import Facts

__all__ = ["CacheRanges", "equalize", "factors"]

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.floating]
_LEAST = 1e-6
"""Of a channel's magnitude, as a share of the largest: below, its factor would be no number."""


@dataclass
class CacheRanges:
    """The smallest and the largest value of each channel of keys and values, `[kv_heads, size]`.

    Attributes:
        low: by name of the output.
        high: likewise.
    """

    low: dict[str, Floats] = field(default_factory=dict)
    high: dict[str, Floats] = field(default_factory=dict)

    def see(self, outputs: Mapping[str, Array], count: int) -> None:
        """Takes in what a graph gave, of which the last `count` rows hold tokens."""
        for name, values in outputs.items():
            if not name.startswith("present_"):
                continue
            axis = 3 if "_key_" in name else 2
            index: list[slice] = [slice(None)] * values.ndim
            index[axis] = slice(values.shape[axis] - count, None)
            held = np.asarray(values[tuple(index)], np.float32)
            low, high = held.min(axis)[:, 0], held.max(axis)[:, 0]
            self.low[name] = np.minimum(self.low.get(name, low), low)
            self.high[name] = np.maximum(self.high.get(name, high), high)

    def magnitude(self, name: str) -> Floats:
        """The largest magnitude of each channel."""
        return np.maximum(-self.low[name], self.high[name])

    def divided(self, by: Mapping[str, Floats]) -> CacheRanges:
        """The ranges where each channel is divided by its factor."""
        return CacheRanges(
            {name: low / by[name] for name, low in self.low.items()},
            {name: high / by[name] for name, high in self.high.items()},
        )


def factors(ranges: CacheRanges, facts: Facts, shared: bool) -> dict[str, Floats]:
    """By what each channel of the cache is divided, `[kv_heads, size]`, by name of the output.

    Args:
        ranges: what was seen of the float model.
        facts: sizes.
        shared: whether keys are normalized with one weight for all heads, which then share theirs.
    """
    found = {}
    for layer in range(facts.layers):
        keys = ranges.magnitude(f"present_key_{layer}")
        halves = keys.reshape(facts.kv_heads, 2, facts.head_size // 2).max(1)
        if shared:
            halves = np.broadcast_to(halves.max(0), halves.shape)
        found[f"present_key_{layer}"] = np.concatenate([halves, halves], 1)
        found[f"present_value_{layer}"] = ranges.magnitude(f"present_value_{layer}")
    return {name: _around_one(values) for name, values in found.items()}


def equalize(model: ir.Model, by: Mapping[str, Floats], facts: Facts) -> None:
    """Divides keys and values of a pair's graph by their factors, in place; the logits stay.

    Args:
        model: one of the graphs, its weights in memory.
        by: as `factors` gives them.
        facts: sizes.
    """
    graph = model.graph
    group = facts.heads // facts.kv_heads
    for layer in range(facts.layers):
        name = f"layers.{layer}"
        keys, values = by[f"present_key_{layer}"], by[f"present_value_{layer}"]
        if f"{name}.k_norm.weight" in graph.initializers:
            _multiply(graph, f"{name}.k_norm.weight", 1 / keys[0])
            _multiply(graph, f"{name}.q_norm.weight", keys[0])
        else:
            _multiply_layer(graph, f"{name}.k", 1 / keys.reshape(-1))
            _multiply_layer(graph, f"{name}.q", np.repeat(keys, group, 0).reshape(-1))
        _multiply_layer(graph, f"{name}.v", 1 / values.reshape(-1))
        spread = np.repeat(values, group, 0).reshape(-1, 1)
        _multiply(graph, f"{name}.o.weight_transposed", spread)


def _around_one(magnitudes: Floats) -> Floats:
    """Magnitudes over their geometric mean, so that a layer as a whole neither grows nor falls."""
    largest = float(magnitudes.max())
    if largest <= 0:
        return np.ones_like(magnitudes)
    safe = np.maximum(magnitudes, largest * _LEAST)
    return np.asarray(safe / np.exp(np.log(safe).mean()), np.float32)


def _multiply_layer(graph: ir.Graph, name: str, channels: Numbers) -> None:
    """Multiplies the output channels of a layer, and its bias where it has one."""
    _multiply(graph, f"{name}.weight_transposed", channels)
    if f"{name}.bias" in graph.initializers:
        _multiply(graph, f"{name}.bias", channels)


def _multiply(graph: ir.Graph, name: str, factor: Numbers) -> None:
    value = graph.initializers[name]
    held = constant(value)
    assert held is not None
    value.const_value = ir.Tensor(np.asarray(held * factor, np.float32), name=name)
