"""`snapq search` and its own commands: the frontier between accuracy and time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from snapq.cli.options import ClusterOption, Config, Force, Json, Runs, SetOption, parse_size
from snapq.cli.output.json import emit
from snapq.errors import ConfigError

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_DEFAULT = "run"


class SearchGroup(TyperGroup):
    """A group whose command `run` need not be named: `snapq search deploy.yaml`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the arguments."""
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


search = typer.Typer(
    name="search",
    cls=SearchGroup,
    help="The frontier between accuracy and time: snapq search deploy.yaml",
    no_args_is_help=True,
)

MaxDrop = Annotated[
    float | None,
    typer.Option(help="Most that a point may lose of the metric; without one, -SQNR in dB."),
]
MaxUs = Annotated[
    float | None, typer.Option(min=0, help="Most estimated microseconds that it may take.")
]
MaxSize = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="Largest size of what is compiled, such as 4MB."),
]
WhichSearch = Annotated[
    str | None,
    typer.Argument(
        metavar="SEARCH",
        help="The deploy.yaml, the deployment's name or the folder; the newest where not given.",
    ),
]


@search.command()
def run(
    config: Config,
    set_: SetOption = None,
    trials: Annotated[
        int, typer.Option(min=1, help="How many points in all, those of earlier runs among them.")
    ] = 100,
    device: Annotated[
        str | None,
        typer.Option(help="Whose estimate counts; the first of the file that has one otherwise."),
    ] = None,
    max_drop: MaxDrop = None,
    max_us: MaxUs = None,
    max_size: MaxSize = None,
    timeout: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="No trial begins after it: 90m, 8h, or seconds."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the search; that of the file otherwise.")
    ] = None,
    sampler: Annotated[
        str, typer.Option(help="Who proposes points: tpe, nsga-2, or random to compare with.")
    ] = "tpe",
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="A database that several processes share, such as postgresql://USER@HOST/NAME.",
            envvar="SNAPQ_SEARCH_STORAGE",
            show_envvar=False,
        ),
    ] = None,
    runs: Runs = Path("runs"),
    random_inputs: Annotated[
        bool, typer.Option("--random-inputs", help="Use random inputs where there is no data.")
    ] = False,
    cluster: ClusterOption = None,
    json: Json = False,
) -> None:
    """Search what `search:` in the file marks, or what the model allows; goes on where it ended.

    Example: snapq search deploy.yaml --trials 60 --max-drop 0.02
    """
    from snapq import api
    from snapq.cli.output.searching import SearchView
    from snapq.cli.output.tables import output_console
    from snapq.report.searching import show as show_table

    view = SearchView()
    try:
        done = api.search(
            config,
            set_ or (),
            trials=trials,
            device=device,
            max_drop=max_drop,
            max_us=max_us,
            max_bytes=None if max_size is None else parse_size(max_size),
            timeout_s=None if timeout is None else parse_time(timeout),
            seed=seed,
            sampler=sampler,
            storage=storage,
            runs=runs,
            random_inputs=random_inputs,
            cluster=cluster,
            on_trial=view.on_trial,
            progress=view,
        )
    except KeyboardInterrupt:
        if view.record is not None and not json:
            show_table(view.record, output_console(), "")
        view.say("Interrupted. What is done is kept; the same command goes on.")
        raise typer.Exit(130) from None
    if json:
        emit({"folder": str(done.folder), **done.record.to_json()})
    else:
        show_table(done.record, output_console(), str(done.page))


@search.command()
def show(which: WhichSearch = None, runs: Runs = Path("runs"), json: Json = False) -> None:
    """Show the frontier of a search, and write its page anew.

    Example: snapq search show
    """
    from snapq import api
    from snapq.cli.output.tables import output_console
    from snapq.report.searching import show as show_table

    found = api.open_search(which, runs=runs)
    api.write_search_page(found)
    if json:
        emit({"folder": str(found.folder), **found.record.to_json()})
    else:
        show_table(found.record, output_console(), str(found.page))


@search.command()
def pick(
    which: WhichSearch = None,
    max_drop: MaxDrop = None,
    max_us: MaxUs = None,
    max_size: MaxSize = None,
    trial: Annotated[int | None, typer.Option(min=0, help="The number of the point.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The file; NAME-trial-N.yaml beside the deploy.yaml otherwise."
        ),
    ] = None,
    force: Force = False,
    runs: Runs = Path("runs"),
    json: Json = False,
) -> None:
    """Write the deploy.yaml of a point; `snapq run` of it makes no stage again.

    Example: snapq search pick --max-drop 0.01
    """
    import shlex

    from snapq import api
    from snapq.cli.output.text import say
    from snapq.report.searching import line
    from snapq.searching.pick import stages_elsewhere

    found = api.open_search(which, runs=runs)
    path, point = api.pick(
        found,
        trial=trial,
        max_drop=max_drop,
        max_us=max_us,
        max_bytes=None if max_size is None else parse_size(max_size),
        output=output,
        overwrite=force,
        runs=runs,
    )
    if json:
        emit({"path": str(path), **point.to_json()})
        return
    say(line(point, found.record))
    if elsewhere := stages_elsewhere(point):
        say(elsewhere)
    say(f"Wrote {path}. Its package and report: snapq run {shlex.quote(str(path))}")
    kept = runs / ".cache" / "stages"
    if any(not (kept / str(stage["key"])).is_dir() for stage in point.stages):
        say(f"Its artifacts are in {point.cache} on {point.host}; the run makes them here again.")


def parse_time(text: str) -> float:
    """Reads `90m`, `8h` or a number of seconds. Raises `ConfigError`."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smhd]?)", text.strip().lower())
    if found is None:
        raise ConfigError(
            f"{text!r} is no time.", where="--timeout", hint="Write 90m, 8h or seconds."
        )
    return float(found[1]) * _UNITS[found[2]]
