"""`snapq search worker` takes part in a search that is kept in a database."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.commands.search import MaxDrop, MaxSize, MaxUs, parse_time
from snapq.cli.options import Json, Runs, parse_size
from snapq.cli.output.json import emit


def worker(
    storage: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="The database that the search was begun with.",
            envvar="SNAPQ_SEARCH_STORAGE",
            show_envvar=False,
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(help="The search, or its deployment; the only one there if not given."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="A copy of the deployment's folder, where it is not at the same place."),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="How many points in all, by everybody.")] = 100,
    max_drop: MaxDrop = None,
    max_us: MaxUs = None,
    max_size: MaxSize = None,
    timeout: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="No trial begins after it: 90m, 8h, or seconds."),
    ] = None,
    runs: Runs = Path("runs"),
    json: Json = False,
) -> None:
    """Do trials of a search that others began with --storage, until all are done.

    Start as many as there are processors for, on any machines that reach the database. The password
    is best in the variable SNAPQ_SEARCH_STORAGE.

    Example: snapq search worker --storage postgresql+psycopg://me@db/searches --trials 200
    """
    from snapq import api
    from snapq.cli.output.progress import Bars
    from snapq.cli.output.text import say

    done = api.search_worker(
        storage,
        name,
        folder=folder,
        trials=trials,
        max_drop=max_drop,
        max_us=max_us,
        max_bytes=None if max_size is None else parse_size(max_size),
        timeout_s=None if timeout is None else parse_time(timeout),
        runs=runs,
        progress=Bars(),
    )
    if json:
        emit(asdict(done))
        return
    others = f" {done.running} are with other workers." if done.running else ""
    say(f"{done.search}: did {done.done} trials here; {done.told} are done in all.{others}")
    say("The table and the page: the `snapq search` command that began it, once more.")
