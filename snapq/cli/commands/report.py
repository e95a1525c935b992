"""`snapq report` shows a finished run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.completion import complete_runs
from snapq.cli.options import Json, Runs, existing
from snapq.cli.output.json import emit


def report(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUN_DIRECTORY]",
            help="A run, or `latest~1`; not given: the newest under runs/.",
            autocompletion=complete_runs,
        ),
    ] = None,
    runs: Runs = Path("runs"),
    json: Json = False,
) -> None:
    """Show a finished run, and write its report.html again.

    Example: snapq report runs/efficientnet-lite0/2026-01-31T12-00-00Z
    """
    from snapq import api
    from snapq.cli.output.tables import output_console

    done = api.open_run(existing(api.find_run(folder or "latest", runs)))
    if json:
        emit({"folder": str(done.folder), **done.record.to_json()})
        return
    from snapq.report.terminal import summary

    summary(done.record, output_console(), api.write_report(done))
