"""Prints the trade-off curve of mixed precision: output SQNR (simulated) against estimated time.

    python benchmarks/mixed_precision.py [--budget DB] [--runs DIR] [MODEL …]

The recognizer reads lines of text rendered with Pillow, EfficientNet-Lite0 sees photographs. All
figures of a model come from one run; ratios are over the model at fp16, by the same estimate.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import snapq
from snapq.config import DeployConfig
from snapq.records import TradeoffRecord

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests import assets

DEVICE = "qcs9075"
SAMPLES = 32
HELD_OUT = 8
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:-/"


@dataclass(frozen=True)
class Entry:
    """A model, the shape of its input, where its samples are, and the budget in dB."""

    get: Callable[[], Path]
    inputs: dict[str, tuple[int, ...]]
    calibration: Callable[[Path], dict[str, Any]]
    budget: float


def text_lines(folder: Path) -> dict[str, Any]:
    """Lines of text, dark on light, as the recognizer wants them: (x / 255 - 0.5) / 0.5."""
    from PIL import Image, ImageDraw, ImageFont

    chance = random.Random(0)
    pages = []
    for _ in range(SAMPLES):
        text = "".join(chance.choices(LETTERS, k=chance.randint(8, 24))).strip()
        ground, ink = chance.randint(180, 255), chance.randint(0, 90)
        page = Image.new("RGB", (320, 48), (ground,) * 3)
        font = ImageFont.load_default(size=chance.randint(18, 30))
        ImageDraw.Draw(page).text((6, chance.randint(4, 14)), text, (ink,) * 3, font=font)
        pages.append((np.asarray(page, np.float32).transpose(2, 0, 1) / 255 - 0.5) / 0.5)
    path = folder / "lines.npy"
    np.save(path, np.stack(pages)[:, None])
    return {"arrays": path}


def photographs(_folder: Path) -> dict[str, Any]:
    """Crops of photographs, (x - 127) / 128."""
    preprocess = {"resize": 256, "crop": 224, "mean": 127, "std": 128}
    return {"images": assets.photographs(), "samples": SAMPLES, "preprocess": preprocess}


MODELS = {
    "ppocr-rec": Entry(assets.ppocr_rec, {"x": (1, 3, 48, 320)}, text_lines, 25.0),
    "efficientnet-lite0": Entry(
        assets.efficientnet_lite0, {"input": (1, 3, 224, 224)}, photographs, 26.0
    ),
}


def config(name: str, budget: float, folder: Path) -> DeployConfig:
    """The deployment of one model with a budget."""
    entry = MODELS[name]
    return DeployConfig.model_validate(
        {
            "name": f"mixed-{name}",
            "model": {"path": entry.get(), "inputs": entry.inputs},
            "devices": [DEVICE],
            "data": {"calibration": entry.calibration(folder)},
            "stages": [
                {"quantize": {"mixed_precision": {"min_sqnr_db": budget, "samples": HELD_OUT}}}
            ],
        }
    )


def lines(name: str, budget: float, runs: Path) -> Iterator[str]:
    """Runs one deployment and yields the lines of its table, fastest first."""
    with tempfile.TemporaryDirectory() as folder:
        record = snapq.run(config(name, budget, Path(folder)), runs=runs).record
    baseline = next((r.us for r in record.tradeoff if r.to == "float16" and not r.nodes), None)
    yield (
        f"{name}: budget {budget:g} dB, {record.tradeoff[0].samples} held-out samples, time "
        f"estimated on {record.tradeoff[0].estimated_on}"
    )
    for item in sorted(record.tradeoff, key=lambda r: r.us if r.us is not None else math.inf):
        yield _line(item, baseline)
    yield from (
        f"  {note}" for stage in record.stages for note in stage.notes if "mix" in note.lower()
    )


def _line(item: TradeoffRecord, baseline: float | None) -> str:
    time = "        not estimated" if item.us is None else f"{item.us:9.1f} us estimated"
    ratio = "" if item.us is None or not baseline else f" {baseline / item.us:5.2f}x over fp16"
    mark = "  <- taken" if item.chosen else ""
    return f"  {item.label:32} {item.value:6.1f} dB {item.where:9} {time}{ratio}{mark}"


def main() -> None:
    """Prints the curves."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=list(MODELS), metavar="MODEL")
    parser.add_argument("--budget", type=float, help="output SQNR in dB; one for each where left")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    for name in arguments.models:
        for line in lines(name, arguments.budget or MODELS[name].budget, arguments.runs):
            print(line, flush=True)


if __name__ == "__main__":
    main()
