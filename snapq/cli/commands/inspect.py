"""`snapq inspect` says what of a model the NPU takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.completion import complete_devices
from snapq.cli.options import CutOption, InputOption, Json, existing, parse_shapes
from snapq.cli.output.json import emit

COMPILED = (".bin", ".dlc")
"""Endings of compiled files."""


def inspect(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="An ONNX model, or a compiled .bin or .dlc.")
    ],
    device: Annotated[
        str | None,
        typer.Option(
            help="The chip, such as sm8650; needed for an ONNX model.",
            autocompletion=complete_devices,
        ),
    ] = None,
    passes: Annotated[
        bool, typer.Option("--passes", help="Say which nodes a pass nearly changed, and why not.")
    ] = False,
    input_: InputOption = None,
    cut_at: CutOption = None,
    json: Json = False,
) -> None:
    """Show which nodes run on the NPU, which do not, and why; and where to cut the model.

    Of a compiled file: its chip, compiler, inputs and outputs.

    Example: snapq inspect model.onnx --device sm8650 --input x=1,3,224,224
    """
    from dataclasses import asdict

    from snapq import api
    from snapq.cli.output import tables
    from snapq.cli.output.progress import Bars
    from snapq.errors import ConfigError

    if model.suffix in COMPILED:
        found = api.inspect_compiled(existing(model))
        if json:
            emit([asdict(info) for info in found])
        else:
            tables.show_binaries(found)
        return
    if device is None:
        raise ConfigError(
            "Whether a model runs on the NPU depends on the chip.",
            where="--device",
            hint="Name one, such as --device sm8650; `snapq devices` lists them.",
        )
    inspected = api.inspect(
        existing(model),
        device,
        inputs=parse_shapes(input_),
        outputs=cut_at or (),
        progress=Bars(),
    )
    if json:
        emit(inspected.to_json())
    else:
        tables.show_inspection(inspected, passes=passes)
