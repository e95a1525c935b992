"""`snapq simulate` runs samples on the NPU simulator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.options import CutOption, Device, Force, Json, ModelArgument, existing
from snapq.cli.output.json import emit
from snapq.cli.output.text import say


def simulate(
    model: ModelArgument,
    device: Device,
    inputs: Annotated[
        Path, typer.Option(help=".npz with an array for each input; a first axis more: samples.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help=".npz for the outputs, stacked over samples.")
    ],
    cut_at: CutOption = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Run a model on Qualcomm's NPU simulator: exact values, no times.

    Example: snapq simulate model.w8a8.onnx --device sm8650 --inputs in.npz -o out.npz
    """
    from snapq import api
    from snapq.cli.output.progress import Bars

    count, names, notes = api.simulate_file(
        existing(model),
        device,
        existing(inputs),
        output,
        cut_at=cut_at or (),
        overwrite=force,
        progress=Bars(),
    )
    if json:
        emit({"path": str(output), "samples": count, "outputs": names, "notes": list(notes)})
    else:
        say(f"Wrote {output}: {', '.join(names)} of {count} samples (simulated).")
        for note in notes:
            say(f"! {note}")
