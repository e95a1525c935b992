"""Options and arguments that several commands have, and how their texts are read."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from snapq.cli.completion import complete_boards, complete_devices, complete_runs
from snapq.errors import ConfigError, StorageError, both_names, warn_renamed

_LARGEST = 2**31 - 1
"""Of what ONNX Runtime and the NPU count a dimension with."""

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
CutOption = Annotated[
    list[str] | None,
    typer.Option(
        "--cut-at",
        metavar="TENSOR",
        help="Cut the model at this inner tensor, as `model.outputs` does; may be repeated.",
    ),
]
OwnMeasurements = Annotated[
    bool,
    typer.Option(help="Calibrate predictions on what `snapq history` has of a board of yours."),
]
Config = Annotated[Path, typer.Argument(metavar="DEPLOY.YAML", help="The YAML of the deployment.")]
ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="An ONNX model.")]
Device = Annotated[
    str,
    typer.Option(
        help="The chip, such as sm8650; `snapq devices` lists them.",
        autocompletion=complete_devices,
    ),
]
Calibration = Annotated[
    Path | None,
    typer.Option(help="Folder of images, or .npy/.npz arrays in the input's own shape."),
]
Samples = Annotated[int | None, typer.Option(min=1, max=_LARGEST, help="Use this many samples.")]
RandomInputs = Annotated[
    bool, typer.Option("--random-inputs", help="Use random inputs as samples, to try out.")
]
BoardName = Annotated[
    str,
    typer.Argument(
        metavar="BOARD",
        help="ssh://USER@HOST, or a name of boards.yaml.",
        autocompletion=complete_boards,
    ),
]
Runs = Annotated[Path, typer.Option(help="Directory of all runs.")]
Bundle = Annotated[
    Path,
    typer.Argument(
        metavar="BUNDLE",
        help="A bundle, the run that made it, or `latest`.",
        autocompletion=complete_runs,
    ),
]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="Where simulations and compilations are done: dask://HOST:PORT of a Dask scheduler, "
        "or local:4 for four workers on this machine.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")]


Batch = Annotated[
    str | None,
    typer.Option(
        "--batch",
        metavar="N",
        help="Samples of a call, of a model of one: 8, or several to compare, 1,2,4; `auto` is "
        "1,2,4,8,16.",
    ),
]


def parse_batches(text: str | None) -> tuple[int, ...]:
    """Reads `8`, `1,2,4` or `auto`. Raises `ConfigError`."""
    if text is None:
        return (1,)
    if text.strip().lower() == "auto":
        return (1, 2, 4, 8, 16)
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 1 <= int(part[:9]) <= 256 for part in parts):
        raise ConfigError(
            f"{text!r} is no number of samples.",
            where="--batch",
            hint="Write 8, several such as 1,2,4, or auto; each is 1 to 256.",
        )
    return tuple(dict.fromkeys(map(int, parts)))


class StrictCommand(TyperCommand):
    """A command that refuses a second value of an option that takes one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the arguments. Raises `ConfigError` where an option is repeated."""
        order = self.make_parser(ctx).parse_args(args=list(args))[2]
        for option, times in Counter(order).items():
            single = isinstance(option, TyperOption) and not (option.multiple or option.is_flag)
            if times > 1 and single:
                name = max(option.opts, key=len)
                raise ConfigError(
                    f"`{name}` is given {times} times, and takes one value.",
                    where=name,
                    hint="Give it once.",
                )
        return super().parse_args(ctx, args)


class DeviceCommand(StrictCommand):
    """A command with an option `--device`; its former name `--target` still works."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the arguments. Raises `ConfigError` where the device is given by both names."""
        names = {argument.partition("=")[0] for argument in args}
        if "--target" in names:
            if "--device" in names:
                raise both_names("--target", "--device")
            warn_renamed("--target", "--device")
            args = [re.sub(r"^--target(?==|$)", "--device", argument) for argument in args]
        return super().parse_args(ctx, args)


def parse_shapes(options: list[str] | None) -> dict[str, tuple[int, ...]]:
    """Reads `NAME=1,3,224,224` options.

    Raises:
        ConfigError: an option is not of that form.
    """
    shapes = {}
    for option in options or []:
        name, _, text = option.rpartition("=")
        try:
            shape = tuple(int(part) for part in text.replace("x", ",").split(",") if part)
        except ValueError:
            shape = ()
        if not (name and shape) or any(not 0 < size <= _LARGEST for size in shape):
            raise ConfigError(
                f"{option!r} is not an input shape.",
                where="--input",
                hint="Write NAME=1,3,224,224 with sizes above 0, or NAME=16000 for an input "
                "without dimensions that always is this number.",
            )
        shapes[name] = shape
    return shapes


_AGES = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def parse_age(text: str) -> float:
    """Reads `30d`, `12h`, `90m` or `2w` as seconds. Raises `ConfigError`."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*([mhdw])", text.strip().lower())
    if found is None:
        raise ConfigError(
            f"{text!r} is no age.", where="--older-than", hint="Write 30d, 12h, 90m or 2w."
        )
    return float(found[1]) * _AGES[found[2]]


def parse_size(text: str) -> int:
    """Reads `5GB`, `500MB` or a number of bytes. Raises `ConfigError`."""
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)\s*([kmgt]?)b?", text.strip().lower())
    if found is None:
        raise ConfigError(
            f"{text!r} is no size.", where="--max-size", hint="Write 5GB, 500MB or bytes."
        )
    return round(float(found[1]) * _SIZES[found[2]])


def existing(path: Path) -> Path:
    """Returns the path when it exists.

    Raises:
        StorageError: it does not.
    """
    if not path.exists():
        raise StorageError("No such file or directory.", where=str(path), hint="Check the path.")
    return path
