"""Prepares, quantizes and packages every development model, and prints what runs where.

    python benchmarks/development_models.py [--runs DIR] [MODEL …]

One line a model, precision and device: nodes on the NPU, output SQNR (simulated, on the first
device), the estimate with the device that it is of, and its ratio over the unmodified model at
fp16. The inputs are random numbers: the table shows what compiles and what it costs, not accuracy.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import snapq
from snapq.config import DeployConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests import assets

DEVICES = ("qcs9075", "sm8650", "qcs6490")
ACTIVATIONS = {"w8a8": "uint8", "w8a16": "uint16"}


@dataclass(frozen=True)
class Entry:
    """A model and the shapes to run it with; a number fixes an input that never changes."""

    get: Callable[[], Path]
    inputs: dict[str, tuple[int, ...] | int]


MODELS = {
    "efficientnet-lite0": Entry(assets.efficientnet_lite0, {"input": (1, 3, 224, 224)}),
    "centerface": Entry(assets.centerface, {"input.1": (1, 3, 480, 640)}),
    "ppocr-rec": Entry(assets.ppocr_rec, {"x": (1, 3, 48, 320)}),
    "ppocr-det": Entry(assets.ppocr_det, {"x": (1, 3, 640, 640)}),
    "ppocr-cls": Entry(assets.ppocr_cls, {"x": (1, 3, 48, 192)}),
    "silero-vad": Entry(assets.silero_vad, {"input": (1, 576), "sr": 16000, "state": (2, 1, 128)}),
    "silero-vad-lstm": Entry(assets.silero_vad_lstm, {"input": (1, 576), "state": (2, 1, 128)}),
}


def config(name: str, precision: str) -> DeployConfig:
    """The deployment of one model at one precision; nodes off the NPU are listed, not refused."""
    entry = MODELS[name]
    return DeployConfig.model_validate(
        {
            "name": f"{name}-{precision}",
            "model": {"path": entry.get(), "inputs": entry.inputs},
            "devices": DEVICES,
            "data": {"calibration": {"random": True, "samples": 4}},
            "stages": [
                {"quantize": {"activations": ACTIVATIONS[precision]}},
                {"package": {"optimization_modes": [3], "golden_samples": 1}},
            ],
            "gates": {"npu_nodes": 0},
        }
    )


def lines(name: str, precision: str, runs: Path) -> Iterator[str]:
    """Runs one deployment and yields its lines of the table."""
    try:
        record = snapq.run(config(name, precision), runs=runs).record
    except snapq.SnapqError as error:
        yield f"{name:18} {precision:5} {type(error).__name__}: {error}"
        return
    sqnr = min((f.sqnr_db for f in record.fidelity), default=float("nan"))
    for place in record.placements:
        estimate = next((e for e in record.estimates if e.device == place.device), None)
        found = [e for e in record.estimates if e.device == place.device and e.label == precision]
        speed = [
            s.value
            for s in record.speedups
            if s.device == place.device and s.baseline == "fp16 unmodified"
        ]
        text = f"{name:18} {precision:5} {place.device:8} {place.npu:4}/{place.npu + place.cpu:<4}"
        text += f" {sqnr:6.1f} dB simulated"
        if found and estimate:
            text += f" {found[0].us:6.0f} us estimated on {found[0].estimated_on}"
        if speed:
            text += f" {speed[0]:5.2f}x over fp16"
        yield text
        for node in place.cpu_nodes:
            yield f"    {node.op_type} {node.name}: {node.reason}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=list(MODELS), metavar="MODEL")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    for name in arguments.models:
        for precision in ACTIVATIONS:
            for line in lines(name, precision, arguments.runs):
                print(line, flush=True)


if __name__ == "__main__":
    main()
