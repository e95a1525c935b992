"""A network as a run of snapq deploys it, estimated: every choice that is made by the estimate.

    python -m benchmarks.zoo.deployed NETWORK MODEL.onnx PRECISION,… SOC,…

`measure` brings networks to one precision with Qualcomm's own boundary, for figures that can be
compared with theirs. Here passes are judged, nodes get the precision in which they are quickest,
forms and optimization modes are tried, and packages of networks that take pictures take pixels
(uint8, channels last), as they do by default; all for one device by itself. Other inputs and the
outputs are codes, in the network's own layout. Ranges are those of random inputs. The precisions
are `deployed_fp16`, `deployed_w8a8` and `deployed_w8a16`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import onnx_ir as ir

from benchmarks.zoo.measure import ACTIVATIONS, SAMPLES, described, figures, processor_s, why
from snapq.config import (
    Color,
    DataSource,
    Io,
    IoDtype,
    PackageConfig,
    PrepareConfig,
    Preprocess,
    QuantizeConfig,
)
from snapq.devices.profiles import DeviceProfile, find
from snapq.errors import SnapqError
from snapq.evaluation.datasets import open_dataset
from snapq.graph import boundary, io
from snapq.graph.float16.run import write_for_float16
from snapq.graph.shapes import TensorSpec, input_specs
from snapq.npu.model import Model, Variants
from snapq.precision import Preset
from snapq.prediction.complete import completed
from snapq.prediction.features import normalized
from snapq.scratch import Scratch
from snapq.stages.artifact import MODEL
from snapq.stages.base import Context, Input, Source, stage

PREFIX = "deployed_"


def planned(specs: list[TensorSpec], *, codes: bool) -> boundary.Boundary:
    """What the package takes and gives: pixels for pictures, codes for the rest."""
    pictures = {
        spec.name: Preprocess(std=(255.0,), color=Color.GRAY if spec.shape[1] == 1 else Color.RGB)
        for spec in specs
        if len(spec.shape) == 4 and spec.shape[0] == 1 and spec.shape[1] in (1, 3)
    }
    return boundary.plan(specs, Io(dtype=IoDtype.QUANTIZED if codes else None), pictures)


def deployed(
    path: Path, precision: str, device: DeviceProfile, folder: Path
) -> tuple[ir.Model, list[str]]:
    """The network as it is packaged, but for rewrites, and what was chosen on the way.

    Raises:
        SnapqError: the network cannot be brought to that.
    """
    specs = input_specs(io.load(path))
    options = None
    if precision in ACTIVATIONS:
        options = QuantizeConfig(activations=ACTIVATIONS[precision], preset=Preset.FAST)
    plan = planned(specs, codes=options is not None)
    data = DataSource(random=True, samples=SAMPLES)
    values: dict[Input, Any] = {
        Input.DEVICES: (device,),
        Input.CALIBRATION: open_dataset(data, specs, base=folder),
        Input.PREVIOUS: Source(path, "float", path.parent),
        Input.BOUNDARY: plan,
        Input.QUANTIZE: options,
        Input.OPTIMIZATION_MODES: PackageConfig().optimization_modes,
    }
    notes = _run("prepare", PrepareConfig(), values, folder)
    if options is not None:
        notes += _run("quantize", options, values, folder)
    model = io.load(values[Input.PREVIOUS].model)
    if options is None:
        model = boundary.fold_normalization(model, plan)
        write_for_float16(model)
    return boundary.apply(model, plan).model, notes


def _run(name: str, options: Any, values: dict[Input, Any], folder: Path) -> list[str]:
    """Runs a stage, whose model the next one starts from; gives its notes."""
    asked, made = stage(name), folder / name
    made.mkdir()
    outcome = asked.run(options, Context(asked.reads(options), values), made)
    values[Input.PREVIOUS] = Source(made / MODEL, outcome.precision, made)
    return list(outcome.notes)


def row(path: Path, precision: str, soc: str) -> dict[str, Any]:
    """What is known of a network as it is deployed for one device at one precision."""
    asked, device = precision.removeprefix(PREFIX), find(soc)
    config = PackageConfig()
    variants = Variants(config.optimization_modes, (), config.thin_strides, config.judge.tries)
    try:
        with Scratch() as scratch:
            model, notes = deployed(path, asked, device, scratch.path)
        facade = Model(model, device, variants=variants)
        estimate = facade.estimate(precision)
        if estimate.missing_ops and (other := completed(model)) is not None:
            estimate = Model(other, device, variants=variants).estimate(precision)
    except SnapqError as error:
        return {"precision": precision, "soc": soc, "failed": why(error)}
    found = described(precision, model, soc) | figures(estimate)
    chosen = [note for note in notes if "estimated on" in note]
    found |= {"normalized": normalized(model)}  # nothing, where a layer takes it in
    return found | {"rewrites": list(facade.form.rewrites), "chosen": chosen}


def main() -> None:
    """Prints the rows."""
    path, precisions, socs = Path(sys.argv[2]), sys.argv[3].split(","), sys.argv[4].split(",")
    for precision in precisions:
        for soc in socs:
            found = {"network": sys.argv[1], **row(path, precision, soc)}
            found["processor_s"] = round(processor_s(), 1)
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
