"""`snapq compare` compares two results of the history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.options import Json
from snapq.cli.output.json import emit


def compare(
    before: Annotated[str, typer.Argument(help="Id of the older run, or its beginning.")],
    after: Annotated[str, typer.Argument(help="Id of the newer run.")],
    max_slowdown: Annotated[
        float, typer.Option(min=0, help="How many times the old median the new one may be.")
    ] = 1.05,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE.xml", help="Also write the checks as JUnit XML.")
    ] = None,
    json: Json = False,
) -> None:
    """Compare two runs of the history; end with 1 where the newer one is too slow.

    Example: snapq compare 3f2a 91bc --max-slowdown 1.03 --junit compare.xml
    """
    from dataclasses import asdict

    from snapq import api
    from snapq.cli.output import bench_tables

    found = api.compare(before, after, max_slowdown=max_slowdown)
    if junit is not None:
        from snapq.benchmarking.history.junit import junit as as_junit
        from snapq.storage import write_text

        write_text(junit, as_junit(found))
    if json:
        emit(
            {
                "ratio": found.ratio,
                "interval": found.interval,
                "passed": found.passed,
                "checks": [asdict(check) for check in found.checks],
            }
        )
    else:
        bench_tables.show_comparison(found)
    if not found.passed:
        raise typer.Exit(1)
