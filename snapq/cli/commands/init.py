"""`snapq init` writes a first deploy.yaml."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.completion import complete_devices
from snapq.cli.options import Force, Json, existing
from snapq.cli.output.json import emit
from snapq.cli.output.text import say


def init(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="The float model.")],
    device: Annotated[
        str | None,
        typer.Option(
            help="Device to deploy to; `snapq devices` lists them.",
            autocompletion=complete_devices,
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write.")] = Path(
        "deploy.yaml"
    ),
    cut: Annotated[
        bool, typer.Option("--cut", help="Cut the model where most work stays on the NPU.")
    ] = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write a working deploy.yaml for a model.

    Example: snapq init model.onnx --device sm8650
    Example: snapq init detector.onnx --device sm8650 --cut
    """
    from snapq import api

    written = api.init(existing(model), device=device, output=output, force=force, cut=cut)
    if json:
        emit({"path": str(written)})
    else:
        command = f"snapq run {shlex.quote(str(written))}"
        say(f"Wrote {written}. Next: edit its data section, then {command}")
