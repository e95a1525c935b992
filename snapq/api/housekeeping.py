"""`cache_contents`: what snapq keeps on this machine; `clean`: freeing room."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.api.public import public
from snapq.api.running import RUNS
from snapq.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from snapq.pipeline.housekeeping import Cleaned, Place


@public
def cache_contents(runs: str | Path = RUNS) -> tuple[Place, ...]:
    """Every folder of snapq's, with what is in it and how much room it takes.

    Args:
        runs: directory of runs; each has a cache of its own.
    """
    from snapq.pipeline.housekeeping import places

    return places(Path(runs))


@public
def clean(
    *,
    older_than_s: float | None = None,
    max_bytes: int | None = None,
    everything: bool = False,
    only: Sequence[str] = (),
    runs: str | Path = RUNS,
    dry_run: bool = False,
) -> Cleaned:
    """Removes what can be made or fetched again; never finished runs, nor the history.

    Args:
        older_than_s: what was not used for so many seconds.
        max_bytes: what was used longest ago, until no more than so many bytes stay.
        everything: all of it.
        only: names of places as `cache_contents` gives them; all where empty.
        runs: directory of runs.
        dry_run: remove nothing, and say what would go.

    Raises:
        ConfigError: no limit is given, or there is no such place.
        StorageError: something cannot be removed.
    """
    from snapq.pipeline import housekeeping

    if older_than_s is None and max_bytes is None and not everything:
        raise ConfigError(
            "It is not said what shall be removed.",
            hint="Give --older-than 30d, --max-size 5GB or --all "
            "(older_than_s=, max_bytes= or everything=True).",
        )
    names = [place.name for place in housekeeping.places(Path(runs)) if place.removable]
    for name in only:
        if name not in names:
            hint = did_you_mean(name, names, f"There are {', '.join(names)}.")
            raise ConfigError(
                f"There is nothing called {name!r} to remove.", where="only", hint=hint
            )
    return housekeeping.clean(
        Path(runs),
        older_than_s=float("-inf") if everything else older_than_s,
        max_bytes=max_bytes,
        only=only,
        dry_run=dry_run,
    )
