"""Estimates networks with the passes that are for speed, and without them.

    python -m benchmarks.zoo.bare [NETWORK …] [--socs SOC,…] [--precisions w8a8,…] [--folder DIR]
                                  [--sqnr]

Left out are the folders fuse, fold and npu_speed, and the simplifications that make layers of what
an exporter wrote; what is left is what a network needs to run on the NPU and be right there. The
boundary is that of `benchmarks.zoo.measure`. A ratio below 1 is a network that is slower for the
passes. With `--sqnr` both are run on the simulator too, with floats at the boundary: the lowest
SQNR of all outputs against the float network, of random inputs.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.zoo.__main__ import export
from benchmarks.zoo.measure import ACTIVATIONS, SAMPLES, in_codes, quantized
from benchmarks.zoo.networks import networks
from snapq.config import DataSource
from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.errors import SnapqError
from snapq.evaluation.datasets import open_dataset
from snapq.evaluation.sqnr import SqnrMeter, real_outputs
from snapq.graph import io
from snapq.graph.passes.order import ORDER
from snapq.graph.prepare import prepare
from snapq.graph.shapes import input_specs
from snapq.npu.model import Model
from snapq.stages.artifact import MODEL
from snapq.stages.base import Input, Source

JUDGING = 2
"""Samples that are simulated, and calibrate."""
FOLDERS = ("fuse", "fold", "npu_speed")
ALSO = (
    "expand_constant_powers",
    "merge_constants",
    "merge_pad",
    "move_constants_before_transposes",
    "split_before_concat",
)


def for_speed() -> tuple[str, ...]:
    """Names of the passes that are for speed."""
    parts = [name.split(".") for passes in ORDER.values() for name in passes]
    return tuple(name for folder, name in parts if folder in FOLDERS or name in ALSO)


@dataclass(frozen=True)
class Found:
    """A network with some passes: microseconds, None where costs are lacking, and dB if asked."""

    us: float | None
    db: float | None


def found(path: Path, skip: tuple[str, ...], precision: str, soc: str, *, judge: bool) -> Found:
    """What a network takes without some passes, and how near it comes to the float network."""
    device = find(soc)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "prepare"
        folder.mkdir()
        model = prepare(io.load(path), {}, skip).model
        io.save(model, folder / MODEL)
        data = DataSource(random=True, samples=JUDGING if judge else SAMPLES)
        dataset = open_dataset(data, input_specs(model), base=folder)
        values: dict[Input, Any] = {
            Input.DEVICES: (device,),
            Input.CALIBRATION: dataset,
            Input.PREVIOUS: Source(folder / MODEL, "float", folder),
        }
        made = quantized(values, precision)
        estimate = Model(in_codes(made.clone()), device).estimate(precision)
        db = None
        if judge:
            feeds, meter, floats = [one.feeds for one in dataset], SqnrMeter(), CpuModel(path)
            for given, outputs in zip(feeds, Model(made, device).simulate(feeds), strict=True):
                meter.update(real_outputs(floats.run(given)), outputs)
            db = min(meter.values().values())
    return Found(None if estimate.missing_ops else estimate.precise_us, db)


def main() -> None:
    """Prints a line a network, device and precision."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    parser.add_argument("--socs", default="qcs9075")
    parser.add_argument("--precisions", default=",".join(ACTIVATIONS))
    parser.add_argument("--folder", type=Path, default=Path("runs") / "zoo")
    parser.add_argument("--sqnr", action="store_true", help="simulate, too")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for network in networks(arguments.networks):
        path, failed = export(network, arguments.folder.resolve())
        if failed:
            print(f"{network.name:24} not exported: {failed}", flush=True)
            continue
        for precision in arguments.precisions.split(","):
            for soc in arguments.socs.split(","):
                line = _line(path, precision, soc, judge=arguments.sqnr)
                print(f"{network.name:24} {precision:5} {soc:8} {line}", flush=True)


def _line(path: Path, precision: str, soc: str, *, judge: bool) -> str:
    """Both figures and their ratio, or why there are none."""
    try:
        without = found(path, for_speed(), precision, soc, judge=judge)
        usual = found(path, (), precision, soc, judge=judge)
    except SnapqError as error:
        return str(error)[:120]
    line = "lacks costs"
    if usual.us is not None and without.us is not None:
        ratio = without.us / usual.us
        line = f"{usual.us:9.0f} us, without {without.us:9.0f} us: {ratio:.3f}"
    if usual.db is not None and without.db is not None:
        line += f"; {usual.db:.1f} dB, without {without.db:.1f} dB"
    return line


if __name__ == "__main__":
    main()
