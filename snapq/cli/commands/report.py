"""`snapq report` shows a finished run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.options import Json, Runs, existing
from snapq.cli.output.json import emit


def report(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[RUN_DIRECTORY]", help="Not given: the newest under runs/."),
    ] = None,
    runs: Runs = Path("runs"),
    json: Json = False,
) -> None:
    """Show a finished run, and write its report.html again.

    Example: snapq report runs/efficientnet-lite0/2026-01-31T12-00-00Z
    """
    from snapq import api
    from snapq.cli.output.tables import output_console

    done = api.open_run(existing(folder) if folder else api.latest_run(runs))
    if json:
        emit({"folder": str(done.folder), **done.record.to_json()})
        return
    from snapq.report.terminal import summary

    summary(done.record, output_console(), api.write_report(done))
