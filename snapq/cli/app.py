"""The `snapq` program: its commands, how it ends, and what it prints when something is wrong."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

import snapq
from snapq.errors import SnapqError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snapq.records.bench import BenchRecord

EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130
INTERRUPTED = "Interrupted. Nothing half-done was left; finished stages are kept for the next run."


class Guarded(TyperGroup):
    """Turns whatever ends a command into one clear message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that the user named."""
        try:
            return super().invoke(ctx)
        except SnapqError as error:
            report_error(error)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            typer.secho(f"\n{INTERRUPTED}", fg="yellow", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from error
        except BrokenPipeError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from error
        except Exception as error:
            if type(error).__module__.startswith(("typer", "click")):
                raise
            _report_internal(error)
            raise typer.Exit(EXIT_INTERNAL) from error


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

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on standard output.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the YAML; may be repeated."),
]
InputOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input", metavar="NAME=1,3,224,224", help="Shape of a model input; may be repeated."
    ),
]


def _version(value: bool) -> None:
    if value:
        typer.echo(f"snapq {snapq.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool | None,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = None,
) -> None:
    """From a trained ONNX model to a verified package for the Snapdragon NPU."""


def emit(value: Any) -> None:
    """Prints one JSON value on standard output."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False, default=str))


def report_error(error: SnapqError) -> None:
    """Prints an error as one block on standard error, or as JSON where that was asked for."""
    if "--json" in sys.argv:
        emit({"error": error_values(error)})
        return
    for one in (error, *error.also):
        head = f"{one.where}: {one.what}" if one.where else one.what
        typer.secho(f"error: {head}", fg="red", err=True)
        if one.hint:
            typer.echo(f"       {one.hint}", err=True)


def error_values(error: SnapqError) -> dict[str, Any]:
    """An error as JSON values."""
    return {
        "kind": type(error).__name__,
        "what": error.what,
        "where": error.where,
        "hint": error.hint,
        "also": [error_values(other) for other in error.also],
    }


def keep(records: Iterable[BenchRecord]) -> None:
    """Adds results to the history; where that cannot be written, says so and goes on."""
    from snapq import api
    from snapq.errors import StorageError

    try:
        api.remember(records)
    except StorageError as error:
        typer.secho(f"warning: the history was not written: {error}", fg="yellow", err=True)


def _report_internal(error: BaseException) -> None:
    handle, name = tempfile.mkstemp(prefix="snapq-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    typer.secho(
        f"internal error: {type(error).__name__}: {error}\n"
        f"       This is a defect of snapq. Please report it with the file {name}",
        fg="red",
        err=True,
    )


def main() -> None:
    """Runs the program and ends it with its exit code.

    0: done. 1: done, and a gate did not hold. 2: wrong input, or it cannot be done here.
    70: a defect of snapq. 130: interrupted.
    """
    import snapq.cli.commands.register

    snapq.cli.commands.register.register(app)
    app()


def parse_shapes(options: list[str] | None) -> dict[str, tuple[int, ...]]:
    """Reads `NAME=1,3,224,224` options.

    Raises:
        ConfigError: an option is not of that form.
    """
    from snapq.errors import ConfigError

    shapes = {}
    for option in options or []:
        name, separator, text = option.rpartition("=")
        try:
            shape = tuple(int(part) for part in text.replace("x", ",").split(",") if part)
        except ValueError:
            shape = ()
        if not separator or not name or any(size <= 0 for size in shape) or not text:
            raise ConfigError(
                f"{option!r} is not an input shape.",
                where="--input",
                hint="Write NAME=1,3,224,224 with sizes above 0, or NAME=16000 for an input "
                "without dimensions that always is this number.",
            )
        shapes[name] = shape
    return shapes


def existing(path: Path) -> Path:
    """Returns the path when it exists.

    Raises:
        StorageError: it does not.
    """
    from snapq.errors import StorageError

    if not path.exists():
        raise StorageError("No such file or directory.", where=str(path), hint="Check the path.")
    return path
