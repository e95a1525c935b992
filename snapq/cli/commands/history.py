"""`snapq history` lists what was measured before."""

from __future__ import annotations

from typing import Annotated

import typer

from snapq.cli.options import Json
from snapq.cli.output.json import emit


def history(
    target: Annotated[str | None, typer.Option(help="Of this target only.")] = None,
    label: Annotated[str | None, typer.Option(help="Of this precision only, such as w8a8.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    json: Json = False,
) -> None:
    """List earlier measurements, newest first.

    Example: snapq history --target my-board
    """
    from snapq import api
    from snapq.cli.output import bench_tables

    found = api.history(target=target, label=label, limit=limit)
    if json:
        emit([record.without_samples().to_json() for record in found])
    else:
        bench_tables.show_history(found)
