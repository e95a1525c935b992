"""Deploys one exported network at each precision and yields its estimates.

    python -m benchmarks.zoo.measure NETWORK MODEL.onnx PRECISION,… SOC,…

A process of its own for each network, so that one that takes too long can be stopped. Every row is
one line of JSON on standard output.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx_ir as ir

from snapq.api.one_stage import prepared
from snapq.config import DataSource, Io, IoDtype, QuantizeConfig
from snapq.devices.profiles import find
from snapq.errors import SnapqError
from snapq.graph import boundary, io
from snapq.graph.shapes import input_specs
from snapq.npu.model import Model
from snapq.precision import ActivationType, Preset
from snapq.prediction.complete import completed
from snapq.prediction.features import boundary_bytes, macs, nodes, normalized
from snapq.prediction.kinds import kind_of
from snapq.records import EstimateRecord
from snapq.stages.artifact import MODEL
from snapq.stages.base import Context, Input, stage

ACTIVATIONS = {"w8a8": ActivationType.UINT8, "w8a16": ActivationType.UINT16}
GIVEN = "given"
_PATH = r"(?<!\S)/\S+"
SAMPLES = 1


def variants(
    path: Path, precisions: Sequence[str], device: str
) -> Iterator[tuple[str, ir.Model | SnapqError]]:
    """The network at each precision with the boundary that Qualcomm's package has.

    That is float as given and at fp16, and codes in the network's own layout at the others. Models
    are kept beside the exported one and not made again.
    """
    if GIVEN in precisions:
        yield GIVEN, io.load(path)
    files = {
        name: path.with_name(f"{path.stem}.{name}.onnx") for name in precisions if name != GIVEN
    }
    for name, file in files.items():
        if file.is_file():
            yield name, io.load(file)
    missing = [name for name, file in files.items() if not file.is_file()]
    if not missing:
        return
    data = DataSource(random=True, samples=SAMPLES)
    with prepared(path, data, {}, (find(device),)) as values:
        for name in missing:
            try:
                if name in ACTIVATIONS:
                    model = in_codes(quantized(values, name))
                else:
                    model = io.load(values[Input.PREVIOUS].model)
            except SnapqError as error:
                yield name, error
                continue
            io.save(model, files[name])
            yield name, model


def quantized(values: Mapping[Input, Any], precision: str) -> ir.Model:
    """The network of the stage before at a precision, with floats at its boundary."""
    previous = values[Input.PREVIOUS]
    options = QuantizeConfig(
        activations=ACTIVATIONS[precision], preset=Preset.FAST, never_slower=False
    )
    asked = stage("quantize")
    folder = previous.folder.with_name(precision)
    folder.mkdir()
    asked.run(options, Context(asked.reads(options), dict(values)), folder)
    return io.load(folder / MODEL)


def in_codes(model: ir.Model) -> ir.Model:
    """A quantized model with codes at its boundary, in its own layout."""
    plan = boundary.plan(input_specs(model), Io(dtype=IoDtype.QUANTIZED), {})
    return boundary.apply(model, plan).model


def described(precision: str, model: ir.Model, soc: str) -> dict[str, Any]:
    """What is known of a network without an estimate."""
    return {
        "precision": precision,
        "soc": soc,
        "kind": str(kind_of(model)),
        "boundary_bytes": boundary_bytes(model),
        "nodes": nodes(model),
        "macs": macs(model),
    }


def figures(estimate: EstimateRecord) -> dict[str, Any]:
    """What an estimate says."""
    return {
        "us": round(estimate.precise_us, 2),
        "cycles": estimate.cycles,
        "ddr": {kind: size for kind, size in estimate.ddr_bytes.items() if size},
        "missing_ops": estimate.missing_ops,
    }


def row(precision: str, model: ir.Model, soc: str) -> dict[str, Any]:
    """What is known of a network at one precision on one device."""
    found = described(precision, model, soc)
    try:
        estimate = Model(model, find(soc)).estimate(precision)
        if estimate.missing_ops and (other := completed(model)) is not None:
            estimate = Model(other, find(soc)).estimate(precision)
    except SnapqError as error:
        return {**found, "failed": why(error)}
    return found | figures(estimate)


def why(error: SnapqError) -> str:
    """An error without the paths of this machine."""
    return f"{type(error).__name__}: {re.sub(_PATH, '…', str(error))}"[:400]


def processor_s() -> float:
    """Processor seconds of this process and of those that it waited for, so far."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    """Prints the rows."""
    path, precisions, socs = Path(sys.argv[2]), sys.argv[3].split(","), sys.argv[4].split(",")
    values = normalized(io.load(path))  # as it was measured; preparing may fold it into a layer
    for precision, model in variants(path, precisions, socs[0]):
        for soc in socs:
            base: dict[str, Any] = {"network": sys.argv[1], "normalized": values}
            if isinstance(model, SnapqError):
                base |= {"precision": precision, "soc": soc}
                base |= {"failed": f"{type(model).__name__}: {model}"[:400]}
            else:
                base |= row(precision, model, soc)
            base["processor_s"] = round(processor_s(), 1)
            print(json.dumps(base), flush=True)


if __name__ == "__main__":
    main()
