"""Commands about deploy.yaml: init, validate, plan, schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.app import (
    Json,
    SetOption,
    emit,
    existing,
)

Config = Annotated[Path, typer.Argument(metavar="DEPLOY.YAML", help="The YAML of the deployment.")]


def init(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="The float model.")],
    target: Annotated[
        str | None, typer.Option(help="Device to deploy to; `snapq devices` lists them.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write.")] = Path(
        "deploy.yaml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    json: Json = False,
) -> None:
    """Write a working deploy.yaml for a model.

    Example: snapq init model.onnx --target sm8650
    """
    from snapq import api

    written = api.init(existing(model), target=target, output=output, force=force)
    if json:
        emit({"path": str(written)})
    else:
        typer.echo(f"Wrote {written}. Next: edit its data section, then snapq run {written}")


def validate(config: Config, set_: SetOption = None, json: Json = False) -> None:
    """Check a deploy.yaml, its model, data and devices, without running anything.

    Example: snapq validate deploy.yaml --set targets=[sm8650]
    """
    from snapq import api

    loaded = api.load(config, set_ or ())
    chosen = api.check(loaded)
    if json:
        emit({"valid": True, "config": loaded.model_dump(mode="json", exclude_none=True)})
        return
    inputs = ", ".join(f"{spec.name} {list(spec.shape)}" for spec in chosen.inputs)
    devices = ", ".join(device.name for device in chosen.devices)
    typer.echo(f"{config} is valid: {loaded.name}, inputs {inputs}, targets {devices}.")


def plan(
    config: Config,
    set_: SetOption = None,
    runs: Annotated[Path, typer.Option(help="Directory of all runs.")] = Path("runs"),
    random_inputs: Annotated[
        bool, typer.Option("--random-inputs", help="Use random inputs where there is no data.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what a run would do, on what and with which files, and what is kept from earlier runs.

    Example: snapq plan deploy.yaml
    """
    from snapq import api
    from snapq.cli.output import tables

    planned = api.plan(api.load(config, set_ or ()), runs=runs, random_inputs=random_inputs)
    if json:
        emit(planned.to_json())
    else:
        tables.show_plan(planned)


def schema(json: Json = False) -> None:
    """Print the JSON Schema of deploy.yaml, for editors.

    Example: snapq schema > deploy.schema.json
    """
    from snapq.config.reading import json_schema

    emit(json_schema())


COMMANDS = (init, validate, plan, schema)
