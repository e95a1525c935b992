"""`snapq compare` compares two runs or bundles, or two measurements of the history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.completion import complete_runs
from snapq.cli.options import Json, Runs
from snapq.cli.output.json import emit

Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run directory, a bundle, `latest`, `latest~1`, or an id of `snapq history`.",
        autocompletion=complete_runs,
    ),
]


def compare(
    before: Run,
    after: Run,
    max_accuracy_drop: Annotated[
        float | None, typer.Option(min=0, help="By how much a metric may be worse, in its unit.")
    ] = None,
    max_sqnr_drop: Annotated[
        float | None, typer.Option(min=0, help="By how many dB an output's SQNR may be lower.")
    ] = None,
    max_size_growth: Annotated[
        float | None, typer.Option(min=0, help="Share by which sizes may grow; 0.05 is 5 %.")
    ] = None,
    max_estimate_growth: Annotated[
        float | None, typer.Option(min=0, help="Share by which a device's estimate may grow.")
    ] = None,
    max_prediction_growth: Annotated[
        float | None,
        typer.Option(min=0, help="Share by which a board's predicted latency may grow."),
    ] = None,
    max_added_cpu_nodes: Annotated[
        int | None, typer.Option(min=0, help="How many nodes more may run on the CPU.")
    ] = None,
    max_slowdown: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="How many times the old median a measured one may be; 1.05 for two measurements.",
        ),
    ] = None,
    max_instructions_growth: Annotated[
        float | None, typer.Option(min=0, help="Share by which counted instructions may grow.")
    ] = None,
    other_model: Annotated[
        bool, typer.Option("--other-model", help="Compare also results of two models.")
    ] = False,
    junit: Annotated[
        Path | None,
        typer.Option(metavar="FILE.xml", help="Also write it as JUnit XML; - prints it."),
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(metavar="FILE.md", help="Also write it for a pull request; - prints it."),
    ] = None,
    runs: Runs = Path("runs"),
    json: Json = False,
) -> None:
    """Compare two runs, bundles or measurements; end with 1 where the newer is worse than allowed.

    Only figures with a limit are judged. Two models are compared with --other-model alone.

    Example: snapq compare latest~1 latest --max-accuracy-drop 0.005 --max-estimate-growth 0.02
    Example: snapq compare 3f2a 91bc --max-slowdown 1.03 --junit compare.xml
    Example: snapq compare latest~1 latest --markdown - >> "$GITHUB_STEP_SUMMARY"
    """
    from snapq import api
    from snapq.cli.output import bench_tables
    from snapq.cli.output.written import only_one_printed, printed_or_written
    from snapq.comparison import written

    only_one_printed({"--junit -": junit, "--markdown -": markdown}, json=json)
    found = api.compare(
        before,
        after,
        max_accuracy_drop=max_accuracy_drop,
        max_sqnr_drop=max_sqnr_drop,
        max_size_growth=max_size_growth,
        max_estimate_growth=max_estimate_growth,
        max_prediction_growth=max_prediction_growth,
        max_added_cpu_nodes=max_added_cpu_nodes,
        max_slowdown=max_slowdown,
        max_instructions_growth=max_instructions_growth,
        other_model=other_model,
        runs=runs,
    )
    printed = [
        path is not None and printed_or_written(path, text(found))
        for path, text in ((junit, written.junit), (markdown, written.markdown))
    ]
    if json:
        emit(written.values(found))
    elif not any(printed):
        bench_tables.show_comparison(found)
    if not found.passed:
        raise typer.Exit(1)
