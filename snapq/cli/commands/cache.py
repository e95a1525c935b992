"""`snapq cache` shows what snapq keeps; `snapq clean` frees room."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.options import Json, Runs, parse_age, parse_size
from snapq.cli.output.json import emit


def cache(runs: Runs = Path("runs"), json: Json = False) -> None:
    """Show what snapq keeps on this machine, where, and how much room it takes.

    Example: snapq cache
    """
    from snapq import api
    from snapq.cli.output import housekeeping

    found = api.cache_contents(runs)
    if json:
        emit([housekeeping.values(place) for place in found])
    else:
        housekeeping.show_places(found)


def clean(
    older_than: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="Remove what was not used for so long: 30d, 12h, 90m."),
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Remove what was used longest ago until this stays: 5GB, 500MB."
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove all of it.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Of this kind only, as `snapq cache` names it; may be repeated."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Remove nothing; say what would go.")
    ] = False,
    runs: Runs = Path("runs"),
    json: Json = False,
) -> None:
    """Remove what can be made or fetched again; never finished runs, nor the history.

    Example: snapq clean --older-than 30d --max-size 5GB
    """
    from snapq import api
    from snapq.cli.output import housekeeping

    done = api.clean(
        older_than_s=None if older_than is None else parse_age(older_than),
        max_bytes=None if max_size is None else parse_size(max_size),
        everything=everything,
        only=tuple(only or ()),
        runs=runs,
        dry_run=dry_run,
    )
    if json:
        emit(housekeeping.cleaned_values(done, dry_run=dry_run))
    else:
        housekeeping.show_cleaned(done, dry_run=dry_run)
