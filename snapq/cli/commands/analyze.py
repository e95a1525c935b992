"""`snapq analyze` says which layers are sensitive to quantization."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.options import (
    Calibration,
    ClusterOption,
    CutOption,
    Device,
    InputOption,
    Json,
    RandomInputs,
    existing,
    parse_shapes,
)
from snapq.cli.output.json import emit
from snapq.precision import ActivationType, WeightType


class On(StrEnum):
    """Who computes the outputs."""

    CPU = "cpu"
    SIMULATOR = "simulator"


def analyze(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A float ONNX model, or a deploy.yaml.")
    ],
    device: Device,
    calibration: Calibration = None,
    weights: Annotated[WeightType | None, typer.Option(help="int8 where not given.")] = None,
    activations: Annotated[
        ActivationType | None, typer.Option(help="uint8 where not given.")
    ] = None,
    on: Annotated[
        On, typer.Option("--on", help="Who computes: this machine's CPU, or the NPU simulator.")
    ] = On.CPU,
    samples: Annotated[
        int, typer.Option(min=1, help="Compare outputs on so many of the calibration samples.")
    ] = 8,
    tensors: Annotated[
        bool, typer.Option("--tensors", help="Also quantize every activation and weight alone.")
    ] = False,
    worst: Annotated[int, typer.Option(min=1, help="Show so many of the most sensitive.")] = 20,
    page: Annotated[
        Path | None, typer.Option("--html", help="Also write an HTML page with plot and tables.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing page.")] = False,
    input_: InputOption = None,
    cut_at: CutOption = None,
    random_inputs: RandomInputs = False,
    cluster: ClusterOption = None,
    json: Json = False,
) -> None:
    """Show which layers are sensitive to quantization, why, and the time of each.

    Examples: snapq analyze model.onnx --device qcs9075 --calibration samples.npz;
    snapq analyze deploy.yaml --device qcs9075 --on simulator --html analysis.html
    """
    from snapq import api
    from snapq.cli.output import tables
    from snapq.cli.output.progress import Bars

    found = api.analyze(
        existing(model),
        device,
        existing(calibration) if calibration else None,
        weights=weights,
        activations=activations,
        simulated=on is On.SIMULATOR,
        samples=samples,
        tensors=tensors,
        inputs=parse_shapes(input_),
        outputs=cut_at or (),
        random_inputs=random_inputs,
        page=page,
        overwrite=force,
        cluster=cluster,
        progress=Bars(),
    )
    if json:
        emit(found.to_json())
        return
    tables.show_analysis(found, worst)
    if page is not None:
        tables.show_line(f"Page: {page}")
