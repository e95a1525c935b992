"""The development models, and real inputs for them: what quantizers are compared on.

Models and data come out of PyPI packages (tests/assets.py, benchmarks/transformer_models.py).
Calibration and evaluation never share a sample.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from snapq.config import DataSource, Preprocess
from snapq.evaluation.datasets import open_dataset
from snapq.evaluation.stateful import with_state
from snapq.graph import io, shapes

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import transformer_models as transformers
from tests import assets

ROOT = Path(__file__).resolve().parents[2]
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,-"
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


def _text(random: np.random.Generator, size: tuple[int, int], *, turned: bool = False) -> Any:
    """A line of text on a plain ground, as a Pillow image; every second one upside down."""
    from PIL import Image, ImageDraw, ImageFont

    text = "".join(random.choice(list(LETTERS), int(random.integers(8, 22))))
    light, dark = int(random.integers(190, 256)), int(random.integers(0, 90))
    picture = Image.new("RGB", size, (light, light, light))
    font = ImageFont.load_default(size=int(random.integers(20, 32)))
    ImageDraw.Draw(picture).text((4, 8), text, fill=(dark, dark, dark), font=font)
    return picture.rotate(180) if turned and random.random() < 0.5 else picture


def _scaled(picture: Any) -> np.ndarray:
    """Values from -1 to 1, as PP-OCR wants them, `[1, 3, rows, columns]`."""
    return np.asarray(picture, np.float32).transpose(2, 0, 1)[None] / 127.5 - 1


def _lines(_model: Path) -> Iterator[Feeds]:
    """Lines of text, 48 pixels high."""
    random = np.random.default_rng(0)
    for _ in range(64):
        yield {"x": _scaled(_text(random, (320, 48)))}


def _turned_lines(_model: Path) -> Iterator[Feeds]:
    """Shorter ones, some of which are upside down."""
    random = np.random.default_rng(0)
    for _ in range(64):
        yield {"x": _scaled(_text(random, (192, 48), turned=True))}


def _pages(_model: Path) -> Iterator[Feeds]:
    """Photographs with lines of text on them."""
    from PIL import Image

    random = np.random.default_rng(0)
    for path in sorted(assets.photographs().iterdir()):
        page = Image.open(path).convert("RGB").resize((640, 640))
        for _ in range(int(random.integers(2, 9))):
            line = _text(random, (int(random.integers(120, 400)), 48))
            page.paste(line, tuple(int(one) for one in random.integers(0, (400, 590))))
        yield {"x": _scaled(page)}


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
    "ppocr-cls": Subject(assets.ppocr_cls, {"x": (1, 3, 48, 192)}, _turned_lines),
    "ppocr-det": Subject(assets.ppocr_det, {"x": (1, 3, 640, 640)}, _pages),
    "silero-vad": Subject(assets.silero_vad_lstm, {}, _speech),
    "minilm-l6": Subject(transformers.minilm_l6, {}, transformers.sentences),
    "rxnfp": Subject(transformers.rxnfp, {}, transformers.reactions),
    "rxnmapper": Subject(transformers.rxnmapper, {}, transformers.reactions),
    "vit-s14": Subject(
        transformers.vit_s14,
        {"input_image": (1, 3, 224, 224)},
        _pictures(
            Preprocess(resize=256, crop=224, mean=(123.7, 116.3, 103.5), std=(58.4, 57.1, 57.4))
        ),
    ),
}
