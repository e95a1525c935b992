"""The gates of a language model: limits, what was found, and whether they passed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snapq.config import GraphTimes, LanguageGates
from snapq.devices import profiles
from snapq.records import (
    EstimateRecord,
    Figures,
    FileRecord,
    GateRecord,
    PairBinaryRecord,
    PerplexityRecord,
)

__all__ = ["check_language_gates"]

_MB = 1e6


@dataclass(frozen=True)
class _Scope:
    """What a gate is to look at: the figures of the devices that it is for."""

    figures: Figures
    bundle: Sequence[FileRecord]
    devices: frozenset[str]

    @property
    def perplexities(self) -> list[PerplexityRecord]:
        return [item for item in self.figures.perplexities if item.device in self.devices]

    @property
    def binaries(self) -> list[PairBinaryRecord]:
        return [item for item in self.figures.pair_binaries if item.device in self.devices]

    def estimates(self, label: str) -> list[EstimateRecord]:
        return [
            item
            for item in self.figures.estimates
            if item.device in self.devices and item.label == label
        ]


_Verdict = tuple[str, str, bool]


def check_language_gates(
    gates: LanguageGates,
    figures: Figures,
    devices: Sequence[str],
    bundle: Sequence[FileRecord],
) -> tuple[GateRecord, ...]:
    """Checks every gate that the YAML names. A gate without a figure to judge by has failed.

    Args:
        gates: the limits.
        figures: of the run.
        devices: names of the devices.
        bundle: files of the packages.
    """
    records = []
    for name, gate in _GATES.items():
        wanted = getattr(gates, name)
        for title, limit, names in _asked(name, wanted, devices):
            for part, (told, found, passed) in gate(limit, _Scope(figures, bundle, names)):
                records.append(
                    GateRecord(name=f"{title}{part}", limit=told, found=found, passed=passed)
                )
    return tuple(records)


def _asked(
    name: str, wanted: Any, devices: Sequence[str]
) -> Iterator[tuple[str, Any, frozenset[str]]]:
    """A gate's name, its limit and the devices that it judges: once, or once for each device."""
    if wanted is None:
        return
    if not isinstance(wanted, Mapping):
        yield name, wanted, frozenset(devices)
        return
    for device, limit in wanted.items():
        yield f"{name}.{device}", limit, frozenset((profiles.find(device).name,))


def _perplexity_ratio(limit: float, scope: _Scope) -> Iterator[tuple[str, _Verdict]]:
    worst = max(scope.perplexities, key=lambda item: item.ratio, default=None)
    found = _NOTHING
    if worst is not None:
        found = (
            f"{worst.ratio:.3f} ({worst.perplexity:.2f} of {worst.device}, float "
            f"{worst.float_perplexity:.2f})"
        )
    yield "", (f"{limit:g}", found, worst is not None and worst.ratio <= limit)


def _agreement(limit: float, scope: _Scope) -> Iterator[tuple[str, _Verdict]]:
    worst = min(scope.perplexities, key=lambda item: item.agreement, default=None)
    found = _NOTHING
    if worst is not None:
        found = f"{worst.agreement:.1%} of {worst.tokens} tokens ({worst.device})"
    yield "", (f"{limit:.1%}", found, worst is not None and worst.agreement >= limit)


def _sqnr(limit: float, scope: _Scope) -> Iterator[tuple[str, _Verdict]]:
    worst = min(scope.perplexities, key=lambda item: item.sqnr_db, default=None)
    found = f"{worst.sqnr_db:.1f} dB ({worst.device})" if worst is not None else _NOTHING
    yield "", (f"{limit:g} dB", found, worst is not None and worst.sqnr_db >= limit)


def _estimated(limit: GraphTimes, scope: _Scope) -> Iterator[tuple[str, _Verdict]]:
    for label in ("prefill", "decode"):
        longest = getattr(limit, label)
        if longest is None:
            continue
        worst = max(scope.estimates(label), key=lambda item: item.us, default=None)
        found = f"{worst.us:,.0f} us ({worst.device})" if worst is not None else _NOTHING
        lacking = {item.device for item in scope.estimates(label)} < scope.devices
        passed = worst is not None and worst.us <= longest and not lacking
        if lacking and worst is not None:
            found += f"; no estimate for {', '.join(sorted(_lacking(label, scope)))}"
        yield f".{label}", (f"{longest:,g} us", found, passed)


def _lacking(label: str, scope: _Scope) -> frozenset[str]:
    return scope.devices - {item.device for item in scope.estimates(label)}


def _shared_ratio(limit: float, scope: _Scope) -> Iterator[tuple[str, _Verdict]]:
    ratios = [(item.shared_ratio, item) for item in scope.binaries if item.shared_ratio is not None]
    worst = max(ratios, key=lambda pair: pair[0], default=None)
    found = _NOTHING
    if worst is not None:
        size = (worst[1].shared_bytes or 0) / _MB
        found = f"{worst[0]:.3f} ({size:,.1f} MB, {worst[1].device})"
    yield "", (f"{limit:g}", found, worst is not None and worst[0] <= limit)


def _bundle_size(limit: float, scope: _Scope) -> Iterator[tuple[str, _Verdict]]:
    size = sum(file.bytes for file in scope.bundle) / _MB
    yield "", (f"{limit:,g} MB", f"{size:,.1f} MB", size <= limit)


_NOTHING = "no figure"
_GATES: dict[str, Callable[[Any, _Scope], Iterator[tuple[str, _Verdict]]]] = {
    "max_perplexity_ratio": _perplexity_ratio,
    "min_next_token_agreement": _agreement,
    "min_sqnr_db": _sqnr,
    "max_estimated_us": _estimated,
    "max_shared_ratio": _shared_ratio,
    "max_bundle_mb": _bundle_size,
}
