"""The development models, and real inputs for them: what quantizers are compared on.

Models and data come out of PyPI packages (tests/assets.py). Calibration and evaluation never share
a sample.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from snapq.config import DataSource, Preprocess
from snapq.evaluation.datasets import open_dataset
from snapq.evaluation.stateful import with_state
from snapq.graph import io, shapes

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests import assets

ROOT = Path(__file__).resolve().parents[2]
Feeds = dict[str, np.ndarray]


@dataclass(frozen=True)
class Subject:
    """A model, the shapes to run it with, and its inputs."""

    get: Callable[[], Path]
    shapes: dict[str, tuple[int, ...]]
    samples: Callable[[Path], Iterator[Feeds]]
    """Of the frozen model's path; as many as there are, those for evaluation last."""


def _pictures(preprocess: Preprocess) -> Callable[[Path], Iterator[Feeds]]:
    def samples(model: Path) -> Iterator[Feeds]:
        specs = shapes.input_specs(io.load(model))
        source = DataSource(images=assets.photographs(), preprocess=preprocess)
        found = [dict(s.feeds) for s in open_dataset(source, specs, base=ROOT)]
        # The crops of one photograph stand side by side: spread, so that the last ones are not all
        # of a picture that calibration never saw, nor the same as the first.
        yield from (found[i] for i in np.random.default_rng(0).permutation(len(found)))

    return samples


def _lines(_model: Path) -> Iterator[Feeds]:
    """Lines of text as PP-OCR wants them: 48 pixels high, values from -1 to 1."""
    from PIL import Image, ImageDraw, ImageFont

    rng = np.random.default_rng(0)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,-"
    for _ in range(64):
        text = "".join(rng.choice(list(letters), int(rng.integers(8, 22))))
        light, dark = int(rng.integers(190, 256)), int(rng.integers(0, 90))
        picture = Image.new("RGB", (320, 48), (light, light, light))
        font = ImageFont.load_default(size=int(rng.integers(20, 32)))
        ImageDraw.Draw(picture).text((4, 8), text, fill=(dark, dark, dark), font=font)
        pixels = np.asarray(picture, np.float32).transpose(2, 0, 1)[None]
        yield {"x": pixels / 127.5 - 1}


def _speech(model: Path) -> Iterator[Feeds]:
    """Steps of speech with the state that the float model has at each."""
    loaded = io.load(model)
    specs = tuple(spec for spec in shapes.input_specs(loaded) if spec.name != "state")
    inner = open_dataset(
        DataSource(python="steps:steps"), specs, base=ROOT / "benchmarks/silero_vad"
    )
    steps = with_state(inner, loaded, {"stateN": "state"})
    yield from (dict(sample.feeds) for sample in islice(steps, 200, None, 11))


SUBJECTS = {
    "efficientnet-lite0": Subject(
        assets.efficientnet_lite0,
        {"input": (1, 3, 224, 224)},
        _pictures(Preprocess(resize=256, crop=224, mean=(127.0,), std=(128.0,))),
    ),
    "centerface": Subject(
        assets.centerface,
        {"input.1": (1, 3, 480, 640)},
        _pictures(Preprocess(resize=(480, 640))),
    ),
    "ppocr-rec": Subject(assets.ppocr_rec, {"x": (1, 3, 48, 320)}, _lines),
    "silero-vad": Subject(assets.silero_vad_lstm, {}, _speech),
}
