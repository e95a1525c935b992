"""`snapq prune` cuts channels from one model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
from snapq.ranking import Importance


def prune(
    model: ModelArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the model.")],
    ratio: Annotated[float, typer.Option(min=0.01, max=0.99, help="Share of the MACs to remove.")],
    calibration: Calibration = None,
    importance: Annotated[
        Importance, typer.Option(help="How channels are ranked.")
    ] = Importance.ACTIVATION,
    repair: Annotated[
        bool, typer.Option(help="Refit the layers that read cut channels, by least squares.")
    ] = True,
    step: Annotated[int, typer.Option(min=1, help="Channel counts become multiples of this.")] = 32,
    input_: InputOption = None,
    cut_at: CutOption = None,
    samples: Samples = None,
    random_inputs: RandomInputs = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Cut channels from a float model, in multiples that suit the NPU.

    For a target in estimated time, and to recover accuracy by training, use a deploy.yaml.

    Example: snapq prune model.onnx -o small.onnx --ratio 0.2 --calibration samples.npz
    """
    from snapq import api
    from snapq.cli.output.progress import Bars

    done = api.prune(
        existing(model),
        ratio,
        calibration=existing(calibration) if calibration else None,
        importance=importance,
        repair=repair,
        step=step,
        inputs=parse_shapes(input_),
        outputs=cut_at or (),
        samples=samples,
        random_inputs=random_inputs,
        output=output,
        overwrite=force,
        progress=Bars(),
    )
    if json:
        emit({"path": str(done.path), **done.details, "notes": done.notes})
        return
    macs, size = done.details["macs"], done.details["weight_bytes"]
    say(
        f"Wrote {done.path}: {macs['after'] / macs['before']:.1%} of the MACs, "
        f"{size['after'] / size['before']:.1%} of the weights' bytes."
    )
    for layer in done.details["layers"]:
        say(f"  {layer['layer']}: {layer['before']} to {layer['after']} channels")
    for note in done.notes:
        say(f"  {note}")
