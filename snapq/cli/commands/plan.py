"""`snapq plan` says what a run would do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.options import Config, Json, Runs, SetOption
from snapq.cli.output.json import emit


def plan(
    config: Config,
    set_: SetOption = None,
    runs: Runs = Path("runs"),
    random_inputs: Annotated[
        bool, typer.Option("--random-inputs", help="Use random inputs where there is no data.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what a run would do, with which files, and what it would reuse.

    Example: snapq plan deploy.yaml
    """
    from snapq import api
    from snapq.cli.output import tables

    planned = api.plan(api.load(config, set_ or ()), runs=runs, random_inputs=random_inputs)
    if json:
        emit(planned.to_json())
    else:
        tables.show_plan(planned)
