"""Commands about one model: inspect, quantize, analyze, prune, estimate, simulate."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from snapq.cli.app import (
    InputOption,
    Json,
    emit,
    existing,
    parse_shapes,
)
from snapq.precision import ActivationType, Preset, WeightType
from snapq.ranking import Importance

COMPILED = (".bin", ".dlc")
"""Endings of compiled files."""

ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="An ONNX model.")]
Target = Annotated[str, typer.Option(help="Device, such as sm8650; `snapq devices` lists them.")]


def inspect(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="An ONNX model, or a compiled .bin or .dlc.")
    ],
    target: Annotated[
        str | None,
        typer.Option(help="Device, such as sm8650, for which an ONNX model is asked about."),
    ] = None,
    input_: InputOption = None,
    json: Json = False,
) -> None:
    """Say what will and what will not run on the NPU and why, before any work.

    Of a compiled file: for which chip and by which compiler it was made, with which inputs.

    Example: snapq inspect model.onnx --target sm8650 --input x=1,3,224,224
    """
    from dataclasses import asdict

    from snapq import api
    from snapq.cli.output import tables
    from snapq.cli.output.display import Bars
    from snapq.errors import ConfigError

    if model.suffix in COMPILED:
        found = api.inspect_compiled(existing(model))
        if json:
            emit([asdict(info) for info in found])
        else:
            tables.show_binaries(found)
        return
    if target is None:
        raise ConfigError(
            "Whether a model runs on the NPU depends on the chip.",
            where="--target",
            hint="Name one, such as --target sm8650; `snapq devices` lists them.",
        )
    inspected = api.inspect(existing(model), target, inputs=parse_shapes(input_), progress=Bars())
    if json:
        emit(inspected.to_json())
    else:
        tables.show_inspection(inspected)


def quantize(
    model: ModelArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the Q/DQ model.")],
    calibration: Annotated[
        Path | None,
        typer.Option(help="Folder of images, or .npy/.npz arrays in the input's own shape."),
    ] = None,
    weights: Annotated[WeightType, typer.Option()] = WeightType.INT8,
    activations: Annotated[ActivationType, typer.Option()] = ActivationType.UINT8,
    preset: Annotated[
        Preset, typer.Option(help="How much to try to keep accuracy.")
    ] = Preset.BALANCED,
    target: Annotated[
        list[str] | None,
        typer.Option(help="Device whose rules to obey; may be repeated. Not given: all of them."),
    ] = None,
    input_: InputOption = None,
    samples: Annotated[int | None, typer.Option(help="Use this many samples.")] = None,
    encodings: Annotated[
        Path | None,
        typer.Option(help="AIMET encodings (0.6.1, 1.0) made for this model, to take over."),
    ] = None,
    random_inputs: Annotated[
        bool, typer.Option("--random-inputs", help="Calibrate on random inputs, to try out.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    json: Json = False,
) -> None:
    """Quantize a float model to a Q/DQ model with float inputs and outputs.

    Images are used as pixels 0..255; for resize, mean and std use a deploy.yaml.

    Example: snapq quantize model.onnx -o model.w8a8.onnx --calibration samples.npz
    Example: snapq quantize model.onnx -o model.w8a8.onnx --encodings model.encodings
    """
    from snapq import api
    from snapq.cli.output.display import Bars

    done = api.quantize(
        existing(model),
        calibration=existing(calibration) if calibration else None,
        weights=weights,
        activations=activations,
        preset=preset,
        targets=target or (),
        inputs=parse_shapes(input_),
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
    typer.echo(f"Wrote {done.path} ({done.precision}, {done.encodings} encodings).")
    for note in done.notes:
        typer.echo(f"  {note}")


def prune(
    model: ModelArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the model.")],
    ratio: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="Share of the MACs to take away.")
    ],
    calibration: Annotated[
        Path | None,
        typer.Option(help="Folder of images, or .npy/.npz arrays in the input's own shape."),
    ] = None,
    importance: Annotated[
        Importance, typer.Option(help="How channels are ranked.")
    ] = Importance.ACTIVATION,
    repair: Annotated[
        bool, typer.Option(help="Refit the layers behind the cut by least squares.")
    ] = True,
    step: Annotated[
        int, typer.Option(min=1, help="Channel counts are brought to multiples of this.")
    ] = 32,
    input_: InputOption = None,
    samples: Annotated[int | None, typer.Option(help="Use this many samples.")] = None,
    random_inputs: Annotated[
        bool, typer.Option("--random-inputs", help="Use random inputs as samples, to try out.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    json: Json = False,
) -> None:
    """Cut channels from a float model, in the steps in which the NPU computes.

    For a goal in estimated time, and to win accuracy back by training, use a deploy.yaml.

    Example: snapq prune model.onnx -o small.onnx --ratio 0.2 --calibration samples.npz
    """
    from snapq import api
    from snapq.cli.output.display import Bars

    done = api.prune(
        existing(model),
        ratio,
        calibration=existing(calibration) if calibration else None,
        importance=importance,
        repair=repair,
        step=step,
        inputs=parse_shapes(input_),
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
    typer.echo(
        f"Wrote {done.path}: {macs['after'] / macs['before']:.1%} of the MACs, "
        f"{size['after'] / size['before']:.1%} of the weights' bytes."
    )
    for layer in done.details["layers"]:
        typer.echo(f"  {layer['layer']}: {layer['before']} to {layer['after']} channels")
    for note in done.notes:
        typer.echo(f"  {note}")


class On(StrEnum):
    """Who computes the outputs."""

    CPU = "cpu"
    SIMULATOR = "simulator"


def analyze(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A float ONNX model, or a deploy.yaml.")
    ],
    target: Target,
    calibration: Annotated[
        Path | None,
        typer.Option(help="Folder of images, or .npy/.npz arrays in the input's own shape."),
    ] = None,
    weights: Annotated[WeightType | None, typer.Option(help="int8 where not given.")] = None,
    activations: Annotated[
        ActivationType | None, typer.Option(help="uint8 where not given.")
    ] = None,
    on: Annotated[
        On, typer.Option("--on", help="Who computes: this machine's CPU, or the NPU simulator.")
    ] = On.CPU,
    samples: Annotated[
        int, typer.Option(min=1, help="Judge on so many of the calibration samples.")
    ] = 8,
    tensors: Annotated[
        bool, typer.Option("--tensors", help="Judge every activation and weight alone too.")
    ] = False,
    worst: Annotated[int, typer.Option(min=1, help="Show so many of the worst.")] = 20,
    page: Annotated[
        Path | None, typer.Option("--html", help="Write a page with drawing and tables too.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing page.")] = False,
    input_: InputOption = None,
    random_inputs: Annotated[
        bool, typer.Option("--random-inputs", help="Calibrate on random inputs, to try out.")
    ] = False,
    json: Json = False,
) -> None:
    """Say what quantizing each node alone costs at the outputs, why, and what it costs in time.

    Examples: snapq analyze model.onnx --target qcs9075 --calibration samples.npz;
    snapq analyze deploy.yaml --target qcs9075 --on simulator --html analysis.html
    """
    from snapq import api
    from snapq.cli.output import tables
    from snapq.cli.output.display import Bars

    found = api.analyze(
        existing(model),
        target,
        existing(calibration) if calibration else None,
        weights=weights,
        activations=activations,
        simulated=on is On.SIMULATOR,
        samples=samples,
        tensors=tensors,
        inputs=parse_shapes(input_),
        random_inputs=random_inputs,
        page=page,
        overwrite=force,
        progress=Bars(),
    )
    if json:
        emit(found.to_json())
        return
    tables.show_analysis(found, worst)
    if page is not None:
        tables.show_line(f"Page: {page}")


def estimate(
    model: ModelArgument,
    target: Target,
    input_: InputOption = None,
    json: Json = False,
) -> None:
    """Give Qualcomm's own estimate of the accelerator time of a model, float (fp16) or Q/DQ.

    Example: snapq estimate model.w8a8.onnx --target qcs9075
    """
    from snapq import api
    from snapq.cli.output import tables

    found = api.estimate(existing(model), target, inputs=parse_shapes(input_))
    if json:
        emit(found.to_json())
    else:
        tables.show_estimate(found)


def simulate(
    model: ModelArgument,
    target: Target,
    inputs: Annotated[
        Path, typer.Option(help=".npz with an array for each input; a first axis more: samples.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help=".npz for the outputs, stacked over samples.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    json: Json = False,
) -> None:
    """Run a model on Qualcomm's NPU simulator: exact values, no times.

    Example: snapq simulate model.w8a8.onnx --target sm8650 --inputs in.npz -o out.npz
    """
    from snapq import api
    from snapq.cli.output.display import Bars

    count, names = api.simulate_file(
        existing(model), target, existing(inputs), output, overwrite=force, progress=Bars()
    )
    if json:
        emit({"path": str(output), "samples": count, "outputs": names})
    else:
        typer.echo(f"Wrote {output}: {', '.join(names)} of {count} samples (simulated).")


COMMANDS = (inspect, quantize, analyze, prune, estimate, simulate)
