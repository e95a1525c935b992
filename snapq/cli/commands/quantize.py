"""`snapq quantize` quantizes one model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.completion import complete_devices
from snapq.cli.options import (
    Calibration,
    CutOption,
    Force,
    InputOption,
    Json,
    ModelArgument,
    RandomInputs,
    Samples,
    existing,
    parse_shapes,
)
from snapq.cli.output.json import emit
from snapq.cli.output.text import say
from snapq.precision import ActivationType, Preset, WeightType


def quantize(
    model: ModelArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the Q/DQ model.")],
    calibration: Calibration = None,
    weights: Annotated[WeightType, typer.Option(help="Type of the weights.")] = WeightType.INT8,
    activations: Annotated[
        ActivationType, typer.Option(help="Type of what layers give to each other.")
    ] = ActivationType.UINT8,
    preset: Annotated[
        Preset, typer.Option(help="How much effort to spend on accuracy.")
    ] = Preset.BALANCED,
    device: Annotated[
        list[str] | None,
        typer.Option(
            help="Device whose rules to obey; may be repeated. Not given: all of them.",
            autocompletion=complete_devices,
        ),
    ] = None,
    input_: InputOption = None,
    cut_at: CutOption = None,
    samples: Samples = None,
    encodings: Annotated[
        Path | None, typer.Option(help="AIMET encodings (0.6.1, 1.0) of this model, to use.")
    ] = None,
    random_inputs: RandomInputs = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Quantize a float model to a Q/DQ model with float inputs and outputs.

    Images are used as pixels 0..255; for resize, mean and std use a deploy.yaml.

    Example: snapq quantize model.onnx -o model.w8a8.onnx --calibration samples.npz
    Example: snapq quantize model.onnx -o model.w8a8.onnx --encodings model.encodings
    """
    from snapq import api
    from snapq.cli.output.progress import Bars

    done = api.quantize(
        existing(model),
        calibration=existing(calibration) if calibration else None,
        weights=weights,
        activations=activations,
        preset=preset,
        devices=device or (),
        inputs=parse_shapes(input_),
        outputs=cut_at or (),
        samples=samples,
        random_inputs=random_inputs,
        encodings=existing(encodings) if encodings else None,
        output=output,
        overwrite=force,
        progress=Bars(),
    )
    if json:
        emit({"path": str(done.path), "precision": done.precision, "notes": done.notes})
        return
    say(f"Wrote {done.path} ({done.precision}, {done.encodings} encodings).")
    for note in done.notes:
        say(f"  {note}")
