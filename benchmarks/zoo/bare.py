"""Estimates networks with the passes that are for speed, and without them.

    python -m benchmarks.zoo.bare [NETWORK …] [--socs SOC,…] [--precisions w8a8,…] [--folder DIR]

Left out are the folders fuse, fold and npu_speed, and the simplifications that make layers of what
an exporter wrote; what is left is what a network needs to run on the NPU and be right there. The
boundary is that of `benchmarks.zoo.measure`. A ratio below 1 is a network that is slower for the
passes.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.zoo.__main__ import export
from benchmarks.zoo.measure import ACTIVATIONS, SAMPLES, quantized
from benchmarks.zoo.networks import networks
from snapq.config import DataSource
from snapq.devices.profiles import find
from snapq.errors import SnapqError
from snapq.evaluation.datasets import open_dataset
from snapq.graph import io
from snapq.graph.passes.order import ORDER
from snapq.graph.prepare import prepare
from snapq.graph.shapes import input_specs
from snapq.npu.model import Model
from snapq.stages.artifact import MODEL
from snapq.stages.base import Input, Source

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


def estimated(path: Path, skip: tuple[str, ...], precision: str, soc: str) -> float | None:
    """Microseconds without some passes; None where the estimate lacks costs."""
    device = find(soc)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "prepare"
        folder.mkdir()
        model = prepare(io.load(path), {}, skip).model
        io.save(model, folder / MODEL)
        data = DataSource(random=True, samples=SAMPLES)
        values: dict[Input, Any] = {
            Input.DEVICES: (device,),
            Input.CALIBRATION: open_dataset(data, input_specs(model), base=folder),
            Input.PREVIOUS: Source(folder / MODEL, "float", folder),
        }
        found = Model(quantized(values, precision), device).estimate(precision)
    return None if found.missing_ops else found.precise_us


def main() -> None:
    """Prints a line a network, device and precision."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    parser.add_argument("--socs", default="qcs9075")
    parser.add_argument("--precisions", default=",".join(ACTIVATIONS))
    parser.add_argument("--folder", type=Path, default=Path("runs") / "zoo")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for network in networks(arguments.networks):
        path, failed = export(network, arguments.folder.resolve())
        if failed:
            print(f"{network.name:24} not exported: {failed}", flush=True)
            continue
        for precision in arguments.precisions.split(","):
            for soc in arguments.socs.split(","):
                print(f"{network.name:24} {precision:5} {soc:8} {_line(path, precision, soc)}")


def _line(path: Path, precision: str, soc: str) -> str:
    """Both figures and their ratio, or why there are none."""
    try:
        without = estimated(path, for_speed(), precision, soc)
        usual = estimated(path, (), precision, soc)
    except SnapqError as error:
        return str(error)[:120]
    if usual is None or without is None:
        return "lacks costs"
    return f"{usual:9.0f} us, without {without:9.0f} us: {without / usual:.3f}"


if __name__ == "__main__":
    main()
