"""What a report shows beside its figures: kinds without a section of their own, and pruning."""

from __future__ import annotations

from typing import Any

from snapq.records import Record, RunRecord

_SHOWN = {
    *(
        "accuracy",
        "fidelity",
        "agreement",
        "estimates",
        "predictions",
        "placements",
        "latencies",
        "speedups",
        "benches",
    ),
    *("layers", "steps", "sensitivity", "tradeoff", "encodings", "bundle", "bundle_files"),
    *("stages", "gates"),
    *("language_models", "perplexities", "part_times", "context_times", "pair_binaries"),
    *("answers", "estimators", "importances", "advice"),
}
"""Fields of a run that have a section of their own; the others get a plain table."""


def other_figures(record: RunRecord) -> tuple[tuple[str, list[dict[str, Any]]], ...]:
    """Kinds of figures that have no section of their own: a title, and a row a figure."""
    return tuple(
        (name.replace("_", " ").capitalize(), [item.model_dump(mode="json") for item in values])
        for name, values in record
        if name not in _SHOWN and isinstance(values, tuple) and values
        if all(isinstance(item, Record) for item in values)
    )


def pruned_layers(record: RunRecord) -> tuple[dict[str, Any], ...]:
    """Channels of each layer before and after the prune stages, as they wrote them down."""
    return tuple(
        item
        for stage in record.stages
        if stage.name == "prune" and isinstance(stage.details.get("layers"), list)
        for item in stage.details["layers"]
        if isinstance(item, dict) and {"layer", "operator", "before", "after"} <= item.keys()
    )
