"""Options and arguments that several commands have, and how their texts are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snapq.errors import ConfigError, StorageError

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
Config = Annotated[Path, typer.Argument(metavar="DEPLOY.YAML", help="The YAML of the deployment.")]
ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="An ONNX model.")]
Target = Annotated[str, typer.Option(help="Device, such as sm8650; `snapq devices` lists them.")]
Calibration = Annotated[
    Path | None,
    typer.Option(help="Folder of images, or .npy/.npz arrays in the input's own shape."),
]
Samples = Annotated[int | None, typer.Option(help="Use this many samples.")]
RandomInputs = Annotated[
    bool, typer.Option("--random-inputs", help="Use random inputs as samples, to try out.")
]
BoardName = Annotated[
    str, typer.Argument(metavar="BOARD", help="ssh://USER@HOST, or a name of boards.yaml.")
]
Runs = Annotated[Path, typer.Option(help="Directory of all runs.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")]


def parse_shapes(options: list[str] | None) -> dict[str, tuple[int, ...]]:
    """Reads `NAME=1,3,224,224` options.

    Raises:
        ConfigError: an option is not of that form.
    """
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
    if not path.exists():
        raise StorageError("No such file or directory.", where=str(path), hint="Check the path.")
    return path
