"""`snapq run` runs a deploy.yaml from end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.completion import complete_targets
from snapq.cli.options import ClusterOption, Config, Json, Runs, SetOption
from snapq.cli.output.errors import storage_warning
from snapq.cli.output.json import emit
from snapq.errors import ConfigError


def run(
    config: Config,
    set_: SetOption = None,
    runs: Runs = Path("runs"),
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The run directory itself, instead of NAME/TIME."),
    ] = None,
    random_inputs: Annotated[
        bool,
        typer.Option(
            "--random-inputs", help="Use random inputs where there is no data; results are marked."
        ),
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Compute every stage again, reuse nothing.")
    ] = False,
    target: Annotated[
        str | None,
        typer.Option(
            help="Where latency is measured, instead of benchmark.target: local, "
            "ssh://USER@HOST, or a board of boards.yaml.",
            autocompletion=complete_targets,
        ),
    ] = None,
    sweep: Annotated[
        str | None,
        typer.Option(
            metavar="KEY=V,V,…",
            help="Run once for each value of a key, such as ratio=0.1,0.2; one page shows the "
            "trade-off.",
        ),
    ] = None,
    cluster: ClusterOption = None,
    json: Json = False,
) -> None:
    """Run a deploy.yaml from end to end: bundle, verification and report.

    Ends with 0 when all gates pass, 1 when one fails.

    Example: snapq run deploy.yaml --set benchmark.min_runs=50
    """
    from snapq import api
    from snapq.cli.output.progress import Bars
    from snapq.cli.output.tables import output_console

    options = [*(set_ or ()), *([f"benchmark.target={target}"] if target else ())]
    done: api.Run | api.Sweep
    if sweep is None:
        done = api.run(
            api.load(config, options),
            runs=runs,
            output=output,
            random_inputs=random_inputs,
            fresh=fresh,
            cluster=cluster,
            progress=Bars(),
        )
        with storage_warning("the history was not written"):
            api.remember(done.benches)
    elif output is None:
        done = api.sweep(
            config,
            sweep,
            options,
            runs=runs,
            random_inputs=random_inputs,
            fresh=fresh,
            cluster=cluster,
            progress=Bars(),
        )
    else:
        hint = "Say where with --runs."
        raise ConfigError("A sweep makes several runs.", where="--output", hint=hint)
    if json:
        emit({"folder": str(done.folder), **done.record.to_json()})
    elif isinstance(done, api.Run):
        from snapq.report.terminal import summary

        summary(done.record, output_console(), done.report)
    else:
        from snapq.report.sweep import show

        show(done.record, output_console(), str(done.page))
    if not done.passed:
        raise typer.Exit(1)
