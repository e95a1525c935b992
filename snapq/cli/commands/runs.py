"""Commands that run a deploy.yaml and show what came of it: run, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.app import (
    Json,
    SetOption,
    emit,
    existing,
    keep,
)
from snapq.cli.commands.projects import Config


def run(
    config: Config,
    set_: SetOption = None,
    runs: Annotated[Path, typer.Option(help="Directory of all runs.")] = Path("runs"),
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
            "ssh://USER@HOST, or a board of boards.yaml."
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
    json: Json = False,
) -> None:
    """Run a deploy.yaml from end to end: bundle, proof and report.

    Ends with 0 when all gates hold, 1 when one does not.

    Example: snapq run deploy.yaml --set benchmark.min_runs=50
    """
    from snapq import api
    from snapq.cli.output.display import Bars, output_console

    options = [*(set_ or ()), *([f"benchmark.target={target}"] if target else ())]
    if sweep is not None:
        _sweep(config, sweep, options, runs, output, random_inputs, fresh, json)
        return
    done = api.run(
        api.load(config, options),
        runs=runs,
        output=output,
        random_inputs=random_inputs,
        fresh=fresh,
        progress=Bars(),
    )
    keep(done.benches)
    if json:
        emit({"folder": str(done.folder), **done.record.to_json()})
    else:
        from snapq.report.terminal import summary

        summary(done.record, output_console(), done.report)
    if not done.passed:
        raise typer.Exit(1)


def _sweep(
    config: Path,
    option: str,
    options: list[str],
    runs: Path,
    output: Path | None,
    random_inputs: bool,
    fresh: bool,
    json: bool,
) -> None:
    from snapq import api
    from snapq.cli.output.display import Bars, output_console
    from snapq.errors import ConfigError

    if output is not None:
        raise ConfigError(
            "A sweep makes several runs.", where="--output", hint="Say where with --runs."
        )
    done = api.sweep(
        config,
        option,
        options,
        runs=runs,
        random_inputs=random_inputs,
        fresh=fresh,
        progress=Bars(),
    )
    if json:
        emit({"folder": str(done.folder), **done.record.to_json()})
    else:
        from snapq.report.sweep import show

        show(done.record, output_console(), str(done.page))
    if not done.passed:
        raise typer.Exit(1)


def report(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[RUN_DIRECTORY]", help="Not given: the newest under runs/."),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Directory of all runs.")] = Path("runs"),
    json: Json = False,
) -> None:
    """Show a finished run again, and write its report.html anew.

    Example: snapq report runs/efficientnet-lite0/2026-01-31T12-00-00Z
    """
    from snapq import api
    from snapq.cli.output.display import output_console

    done = api.open_run(existing(folder) if folder else api.latest_run(runs))
    if json:
        emit({"folder": str(done.folder), **done.record.to_json()})
        return
    from snapq.report.terminal import summary

    summary(done.record, output_console(), api.write_report(done))


COMMANDS = (run, report)
