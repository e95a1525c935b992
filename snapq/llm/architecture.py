"""What a decoder of the Llama type is: the sizes of its layers, and what its attention does."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snapq.errors import ModelError

__all__ = ["Decoder", "Llama3Scaling", "Rope"]

Floats = npt.NDArray[np.float32]
_LARGEST = 1 << 24
"""Of any size of a decoder: more is a damaged file."""


@dataclass(frozen=True)
class Llama3Scaling:
    """The scaling of rotary frequencies that Llama 3.1 brought (`rope_type: llama3`)."""

    factor: float
    low_frequency_factor: float
    high_frequency_factor: float
    original_context: int

    def apply(self, frequencies: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Long waves turn `factor` times as slow, short ones as before, others between."""
        turns = self.original_context * frequencies / (2 * math.pi)
        low, high = self.low_frequency_factor, self.high_frequency_factor
        share = np.clip((turns - low) / (high - low), 0.0, 1.0)
        return frequencies * (share + (1 - share) / self.factor)


@dataclass(frozen=True)
class Rope:
    """Rotary position embedding (Su et al., RoFormer, 2021) on the two halves of a head.

    Attributes:
        base: theta.
        factor: how many times as slow all frequencies turn (linear scaling).
        llama3: the scaling of Llama 3.1, where it has that.
        divisors: `[head_size / 2]`, by which each frequency is divided, where the file lists them.
    """

    base: float
    factor: float = 1.0
    llama3: Llama3Scaling | None = None
    divisors: tuple[float, ...] = ()

    def tables(self, positions: int, head_size: int) -> tuple[Floats, Floats]:
        """Cosines and sines, each `[positions, head_size / 2]`."""
        exponents = np.arange(0, head_size, 2, dtype=np.float64) / head_size
        frequencies = self.base**-exponents / self.factor
        if self.llama3 is not None:
            frequencies = self.llama3.apply(frequencies)
        if self.divisors:
            frequencies = frequencies / np.asarray(self.divisors)
        angles = np.arange(positions)[:, None] * frequencies[None]
        return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


@dataclass(frozen=True)
class Decoder:
    """The sizes of a decoder: RMSNorm, RoPE, grouped-query attention, SwiGLU, causal.

    Attributes:
        family: as the file names it, such as `llama`.
        layers: how many.
        hidden: the width of the residual stream.
        heads: of queries.
        kv_heads: of keys and values; each serves `heads / kv_heads` heads of queries.
        head_size: width of a head, even.
        intermediate: width inside of the feed-forward part.
        vocabulary: number of tokens.
        epsilon: of the normalizations.
        rope: the rotary position embedding.
        tied: whether the head multiplies by the table of embeddings.
        longest: positions that it was trained for; None where the file does not say.
        window: how many of the last positions attention sees; None for all.
    """

    family: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    intermediate: int
    vocabulary: int
    epsilon: float
    rope: Rope
    tied: bool
    longest: int | None = None
    window: int | None = None

    def check(self, where: str) -> None:
        """Raises `ModelError` where sizes do not fit each other."""
        for name in ("layers", "hidden", "heads", "kv_heads", "head_size", "intermediate"):
            if not 1 <= getattr(self, name) <= _LARGEST:
                raise _unfit(f"The decoder's `{name}` is {getattr(self, name)}.", where)
        if self.heads % self.kv_heads:
            raise _unfit(
                f"{self.heads} heads of queries cannot share {self.kv_heads} of keys and values.",
                where,
            )
        if self.head_size % 2:
            raise _unfit(f"The size of a head is {self.head_size}, which is odd.", where)
        halves = self.head_size // 2
        if self.rope.divisors and len(self.rope.divisors) != halves:
            found = len(self.rope.divisors)
            raise _unfit(f"{found} divisors are given for {halves} rotary frequencies.", where)
        if not (self.rope.base > 0 and self.rope.factor > 0 and 0 <= self.epsilon < 1):
            raise _unfit("The base of RoPE, its factor or epsilon is out of range.", where)


def _unfit(what: str, where: str) -> ModelError:
    return ModelError(what, where=where, hint="Check that the file belongs to the weights.")
