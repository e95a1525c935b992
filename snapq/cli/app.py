"""The commands of the `snapq` program in the order of its help, and how each of them ends."""

from __future__ import annotations

from inspect import signature
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from snapq.api.public import command_line
from snapq.cli.commands.analyze import analyze
from snapq.cli.commands.benchmark import benchmark
from snapq.cli.commands.board import board
from snapq.cli.commands.cache import cache, clean
from snapq.cli.commands.compare import compare
from snapq.cli.commands.devices import devices
from snapq.cli.commands.doctor import doctor
from snapq.cli.commands.encodings import encodings
from snapq.cli.commands.estimate import estimate
from snapq.cli.commands.history import history
from snapq.cli.commands.init import init
from snapq.cli.commands.inspect import inspect
from snapq.cli.commands.llm import llm
from snapq.cli.commands.plan import plan
from snapq.cli.commands.prune import prune
from snapq.cli.commands.quantize import quantize
from snapq.cli.commands.report import report
from snapq.cli.commands.run import run
from snapq.cli.commands.schema import schema
from snapq.cli.commands.search import search
from snapq.cli.commands.search_worker import worker
from snapq.cli.commands.simulate import simulate
from snapq.cli.commands.validate import validate
from snapq.cli.options import DeviceCommand, StrictCommand
from snapq.cli.output.environment import of_environment, require_working_directory
from snapq.cli.output.errors import report_error, report_internal, told_usage
from snapq.cli.verbosity import take_verbosity
from snapq.errors import SnapqError
from snapq.version import shown

EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130
INTERRUPTED = (
    "Interrupted. No partial files are left; finished stages of a run are kept for the next one."
)

COMMANDS = (
    init,
    validate,
    plan,
    schema,
    run,
    report,
    inspect,
    quantize,
    analyze,
    prune,
    estimate,
    simulate,
    benchmark,
    history,
    compare,
    devices,
    doctor,
    cache,
    clean,
)
search.command()(worker)
GROUPS = (search, encodings, llm, board)


class Guarded(TyperGroup):
    """Turns whatever ends a command into one clear message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that the user named."""
        try:
            require_working_directory()
            with command_line():
                return super().invoke(ctx)
        except KeyboardInterrupt as error:
            typer.secho(f"\n{INTERRUPTED}", fg="yellow", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from error
        except Exception as error:
            raise _told(error) from error

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the arguments before the command's name."""
        try:
            return super().parse_args(ctx, take_verbosity(args))
        except Exception as error:
            raise _told(error) from error


def _told(error: Exception) -> Exception:
    """Tells what ended a command, and returns what ends the program with the right code."""
    if type(error).__module__.startswith(("typer", "click")):
        code = told_usage(error)
        return error if code is None else typer.Exit(code)
    known = error if isinstance(error, SnapqError) else of_environment(error)
    if known is None:
        report_internal(error)
        return typer.Exit(EXIT_INTERNAL)
    report_error(known)
    return typer.Exit(known.exit_code)


app = typer.Typer(
    name="snapq",
    cls=Guarded,
    help="From a trained ONNX model to a verified package for the Snapdragon NPU.",
    epilog="Start with: snapq doctor, then snapq init MODEL.onnx, then snapq run deploy.yaml",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"snapq {shown()}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool | None,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = None,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="No progress; also behind the command."),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Each step with its time, and where errors are raised; also behind it.",
        ),
    ] = False,
) -> None:
    """From a trained ONNX model to a verified package for the Snapdragon NPU."""
    del version, quiet, verbose  # `take_verbosity` takes them wherever they stand


for _command in COMMANDS:
    _parameters = signature(_command).parameters
    # Where a command has both, they are two things.
    _device_alone = "device" in _parameters and "target" not in _parameters
    _class = DeviceCommand if _device_alone else StrictCommand
    app.command(_command.__name__, cls=_class)(_command)
for _group in GROUPS:
    for _registered in _group.registered_commands:
        if _registered.cls is TyperCommand:
            _registered.cls = StrictCommand
    app.add_typer(_group)
