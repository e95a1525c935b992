"""What reports show of language models: perplexity, tokens a second, times part by part."""

from __future__ import annotations

from dataclasses import dataclass

from snapq.records import (
    ContextTimeRecord,
    LanguageModelRecord,
    PairBinaryRecord,
    PerplexityRecord,
    RunRecord,
)
from snapq.report import formatting as fmt

__all__ = [
    "PartTimes",
    "agreement_text",
    "binary_text",
    "context_text",
    "context_value",
    "part_times",
    "perplexity",
    "perplexity_text",
    "perplexity_value",
    "sizes_text",
]


@dataclass(frozen=True)
class PartTimes:
    """What each part takes in both graphs, on one device.

    Attributes:
        device: its name.
        rows: part, microseconds of a window of prefill, microseconds of a token.
        most: the longest of each graph.
    """

    device: str
    rows: tuple[tuple[str, float, float], ...]
    most: tuple[float, float]


def sizes_text(item: LanguageModelRecord) -> str:
    """The decoder in one sentence."""
    return (
        f"{item.family} with {fmt.plural(item.layers, 'layer')} and "
        f"{fmt.count(item.parameters)} parameters: {item.heads} heads of {item.head_size}, "
        f"{item.kv_heads} of keys and values. Context {fmt.integer(item.context)}, "
        f"{item.prefill} tokens of a prompt at once, prompts of at most "
        f"{fmt.integer(item.longest_prompt)} tokens; the cache takes {fmt.size(item.cache_bytes)}."
    )


def perplexity_value(item: PerplexityRecord) -> str:
    """`19.56, 1.038 of float`."""
    return f"{perplexity(item.perplexity)}, {item.ratio:.3f} of float"


def perplexity_text(item: PerplexityRecord) -> str:
    """What it rests on."""
    return (
        f"{perplexity(item.float_perplexity)} in float, {fmt.plural(item.tokens, 'token')} of "
        f"{item.dataset}, logits {fmt.decibels(item.sqnr_db)} SQNR"
    )


def agreement_text(item: PerplexityRecord) -> str:
    """`the same next token: 87.4 %`."""
    return f"the same next token: {item.agreement * 100:.1f} %"


def context_value(item: ContextTimeRecord) -> str:
    """`273 tokens a second`."""
    return f"{fmt.number(item.tokens_per_second)} tokens a second"


def context_text(item: ContextTimeRecord) -> str:
    """What a token takes."""
    low = f", too low: {item.missing_ops} operators without a cost" if item.missing_ops else ""
    return (
        f"{fmt.microseconds(item.us)} a token{low}, {fmt.size(item.ddr_bytes)} of traffic, cache "
        f"{fmt.size(item.cache_bytes)}"
    )


def binary_text(item: PairBinaryRecord) -> tuple[str, str]:
    """Sizes of one binary a graph, and of one for both."""
    if item.shared_bytes is None:
        return fmt.size(item.separate_bytes), "one for each graph"
    return (
        fmt.size(item.shared_bytes),
        f"one for both graphs, {item.shared_ratio:.3f} of {fmt.size(item.separate_bytes)} for one "
        "each; the simulator runs these, and no shared one",
    )


def part_times(record: RunRecord) -> tuple[PartTimes, ...]:
    """The times of all parts by device, in the order of the graphs."""
    found = []
    for device in dict.fromkeys(item.device for item in record.part_times):
        times: dict[str, dict[str, float]] = {}
        for item in record.part_times:
            if item.device == device:
                times.setdefault(item.part, {})[item.graph] = item.us
        rows = tuple(
            (part, graphs.get("prefill", 0.0), graphs.get("decode", 0.0))
            for part, graphs in times.items()
        )
        found.append(PartTimes(device, rows, (max(r[1] for r in rows), max(r[2] for r in rows))))
    return tuple(found)


def perplexity(value: float) -> str:
    """`19.56`; of a model that knows nothing three digits."""
    return f"{value:,.2f}" if value < 10_000 else f"{value:.3g}"
