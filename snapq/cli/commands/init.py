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
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL.onnx",
            help="The float model; of a language model the folder of its pair of graphs.",
        ),
    ],
    device: Annotated[
        list[str] | None,
        typer.Option(
            help="Device to deploy to; may be repeated. `snapq devices` lists them.",
            autocompletion=complete_devices,
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write.")] = Path(
        "deploy.yaml"
    ),
    cut: Annotated[
        bool, typer.Option("--cut", help="Cut the model where most work stays on the NPU.")
    ] = False,
    decode: Annotated[
        Path | None,
        typer.Option(help="Of a language model, its graph of one token: MODEL.onnx takes many."),
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write a working deploy.yaml for a model.

    Example: snapq init model.onnx --device sm8650
    Example: snapq init model.onnx --device sm8650 --device qcs9075
    Example: snapq init detector.onnx --device sm8650 --cut
    Example: snapq init prefill.onnx --decode decode.onnx --device qcs9075
    """
    from snapq import api

    graph = existing(decode) if decode is not None else None
    written = api.init(
        existing(model), device=device, output=output, force=force, cut=cut, decode=graph
    )
    if json:
        emit({"path": str(written)})
    else:
        section = "text" if decode is not None or model.is_dir() else "data"
        command = f"snapq run {shlex.quote(str(written))}"
        say(f"Wrote {written}. Next: edit its {section} section, then {command}")
