"""What snapq keeps, and what was removed, on standard output."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from snapq.cli.output.tables import show_line, show_table
from snapq.report import formatting as fmt

if TYPE_CHECKING:
    from snapq.pipeline.housekeeping import Cleaned, Place


def show_places(places: Sequence[Place]) -> None:
    """Prints a line a place, and where each is."""
    show_table(
        "",
        ("name", "what", "entries", "size", "unused for", "removable"),
        (
            (
                place.name,
                place.what,
                len(place.entries),
                fmt.size(place.bytes),
                _age(place),
                "yes" if place.removable else "no",
            )
            for place in places
        ),
    )
    for place in places:
        show_line(f"{place.name}: {place.folder} ({place.variable})")


def _age(place: Place) -> str:
    """For how long the entry was not used that was used longest ago."""
    if not place.entries:
        return ""
    hours = max(0.0, time.time() - min(entry.used for entry in place.entries)) / 3600
    return f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} hours"


def show_cleaned(done: Cleaned, *, dry_run: bool) -> None:
    """Prints what was removed."""
    for name, count in Counter(name for name, _ in done.removed).items():
        entries = fmt.plural(count, "entry", "entries")
        show_line(f"{name}: {entries}{' would go' if dry_run else ' removed'}")
    for sentence in done.skipped:
        show_line(sentence)
    show_line(f"{fmt.size(done.freed)} {'would be free' if dry_run else 'are free again'}.")


def values(place: Place) -> dict[str, Any]:
    """A place in JSON's types."""
    return {
        "name": place.name,
        "what": place.what,
        "folder": str(place.folder),
        "variable": place.variable,
        "removable": place.removable,
        "entries": len(place.entries),
        "bytes": place.bytes,
        "frees": sum(entry.frees for entry in place.entries),
    }


def cleaned_values(done: Cleaned, *, dry_run: bool) -> dict[str, Any]:
    """What was removed in JSON's types."""
    return {
        "dry_run": dry_run,
        "freed": done.freed,
        "removed": [
            {"name": name, "path": str(entry.path), "bytes": entry.bytes, "freed": entry.frees}
            for name, entry in done.removed
        ],
        "skipped": done.skipped,
    }
