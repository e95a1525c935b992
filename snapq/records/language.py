"""Figures of a language model: sizes, perplexity, times of its graphs part by part."""

from __future__ import annotations

from snapq.records.base import Origin, Record

__all__ = [
    "ContextTimeRecord",
    "LanguageModelRecord",
    "PairBinaryRecord",
    "PartTimeRecord",
    "PerplexityRecord",
]


class LanguageModelRecord(Record):
    """A decoder as a pair of graphs, and what it holds in memory."""

    family: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    parameters: int
    context: int
    """Positions that attention sees."""
    prefill: int
    """Tokens of a prompt at once."""
    longest_prompt: int
    cache_bytes: int
    """Of keys and values of the whole context, 8 bits each."""
    difference: float
    """Largest difference of a logit between the graphs as given and those that were made of them,
    by the largest logit."""


class PerplexityRecord(Record):
    """A quantized pair beside the float one on a text, each token told what stands before it."""

    label: str
    """Weights and activations, `w8a16`."""
    device: str
    tokens: int
    float_perplexity: float
    perplexity: float
    agreement: float
    """Share of tokens for which both find the same next one likeliest."""
    sqnr_db: float
    """Of the logits."""
    dataset: str
    seconds: float
    """That the simulation took."""
    where: Origin = Origin.SIMULATED

    @property
    def ratio(self) -> float:
        """The perplexity over that of float."""
        return self.perplexity / self.float_perplexity


class PartTimeRecord(Record):
    """What a part of a graph takes of its estimate."""

    device: str
    graph: str
    """`prefill` or `decode`."""
    part: str
    """`layer 3`, `head`, `embedding`, `positions and mask`, or `waiting and boundary`."""
    us: float


class ContextTimeRecord(Record):
    """The estimate of a token at a size of the context."""

    device: str
    estimated_on: str
    context: int
    us: float
    cache_bytes: int
    ddr_bytes: int
    """Traffic of a token."""
    missing_ops: int

    @property
    def tokens_per_second(self) -> float:
        """Of the accelerator alone."""
        return 1e6 / self.us


class PairBinaryRecord(Record):
    """Sizes of what is compiled of a pair for a device."""

    device: str
    separate_bytes: int
    """Of one binary for each graph."""
    shared_bytes: int | None
    """Of one for both; None where it was not made."""

    @property
    def shared_ratio(self) -> float | None:
        """The one over the two."""
        return None if self.shared_bytes is None else self.shared_bytes / self.separate_bytes
