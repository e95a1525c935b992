"""How a graph turns its keys by their position: measured, whatever operators do it.

The keys of the first block depend on a token and on its position alone, so what makes them is run
for the same tokens at several positions: a pair of channels is a complex number that a position
turns by an angle. The angle at position 1 is the frequency, up to what a float32 gives; positions
that are twice as far each give it twice as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.errors import ModelError
from snapq.graph.edit import constant
from snapq.llm.architecture import Rope

__all__ = ["KeysAt", "Turning", "measure"]

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]
KeysAt = Callable[[int], Floats]
"""Keys `[rows, kv_heads, size]` of the same tokens, all at one position."""
_NEAR = 2e-3
"""Of the length of a pair: what a turn may be off by."""
_SAME = 2e-4
"""Radians that two ways to compute an angle may differ by within the context."""
_DIGITS = 4
"""Of the base that a publisher writes: 10000, 500000, 1000000."""


@dataclass(frozen=True)
class Turning:
    """A rotary embedding.

    Attributes:
        rope: its frequencies.
        neighbours: whether channels 2i and 2i + 1 are a pair, and not i and i + size / 2.
    """

    rope: Rope
    neighbours: bool


def measure(keys_at: KeysAt, context: int, graph: ir.Graph, where: str) -> Turning:
    """Finds out how keys are turned.

    Args:
        keys_at: runs the graph up to the keys of its first block.
        context: positions that there are.
        graph: whose constants may be the frequencies.
        where: the file, for messages.

    Raises:
        ModelError: they are not turned, or not as RoPE does.
    """
    at_zero, at_one = keys_at(0), keys_at(1)
    for neighbours in (False, True):
        first, second = _pairs(at_zero, neighbours), _pairs(at_one, neighbours)
        frequencies = _angles(first, second)
        if not _is_turned(first, second, frequencies):
            continue
        position = 2
        while position < context:
            seen = _angles(first, _pairs(keys_at(position), neighbours))
            off = np.angle(np.exp(1j * (seen - frequencies * position)))
            frequencies = frequencies + off / position
            position *= 2
        last = _pairs(keys_at(context - 1), neighbours)
        if _is_turned(first, last, frequencies * (context - 1)) and (frequencies > 0).all():
            return Turning(_rope(frequencies, context, graph), neighbours)
    raise ModelError(
        "The keys of the first block are not turned by their position as RoPE turns them.",
        where=where,
        hint="Only decoders of the Llama type are taken apart, and keys enter the cache turned.",
    )


def _pairs(keys: Floats, neighbours: bool) -> npt.NDArray[np.complex128]:
    """Complex numbers `[rows * kv_heads, size / 2]`."""
    flat = keys.reshape(-1, keys.shape[-1]).astype(np.float64)
    half = flat.shape[1] // 2
    parts = (flat[:, 0::2], flat[:, 1::2]) if neighbours else (flat[:, :half], flat[:, half:])
    return np.asarray(parts[0] + 1j * parts[1])


def _angles(first: npt.NDArray[np.complex128], second: npt.NDArray[np.complex128]) -> Numbers:
    return np.asarray(np.angle((second * first.conj()).sum(0)))


def _is_turned(
    first: npt.NDArray[np.complex128], second: npt.NDArray[np.complex128], angles: Numbers
) -> bool:
    off = np.abs(second - first * np.exp(1j * angles)).max()
    return bool(off <= _NEAR * np.abs(first).max())


def _rope(frequencies: Numbers, context: int, graph: ir.Graph) -> Rope:
    """Base and factor of the frequencies; where there are none, they are kept as they are.

    A constant of the graph with these values is more precise than what was measured.
    """
    half = len(frequencies)
    exponents = np.arange(half) / half
    if half > 1:
        slower = float(f"{1 / frequencies[0]:.{_DIGITS}g}")
        bases = np.exp(-np.log(frequencies[1:] * slower) / exponents[1:])
        base = float(f"{np.median(bases):.{_DIGITS}g}")
        if np.abs(base**-exponents / slower - frequencies).max() * context < _SAME:
            return Rope(base, slower)
    for value in graph.initializers.values():
        if value.const_value is None or value.const_value.size != half:
            continue
        held = constant(value)
        if held is not None and np.issubdtype(held.dtype, np.floating):
            exact = held.reshape(-1).astype(np.float64)
            if np.abs(exact - frequencies).max() * context < _SAME and (exact > 0).all():
                return Rope(1.0, divisors=tuple(float(f) for f in 1 / exact))
    return Rope(1.0, divisors=tuple(float(f) for f in 1 / frequencies))
