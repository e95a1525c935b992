"""Post-training quantization beside onnxruntime's own quantizer, in one run on the same samples.

    python benchmarks/ptq_quality.py [--images FOLDER] [--presets fast best] [MODEL …]

One line a model, precision and tool: output SQNR against the float model on samples that were not
calibrated on (simulated for qcs9075, mean over samples, worst output), the same less onnxruntime's,
Qualcomm's estimate and its ratio to onnxruntime's, and the time that quantizing took and its ratio.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from snapq.devices.profiles import find
from snapq.errors import SnapqError
from snapq.graph import io
from snapq.graph.prepare import prepare
from snapq.graph.shapes import freeze
from snapq.precision import ActivationType
from snapq.qnn.estimate import estimate
from snapq.qnn.options import CompileOptions
from snapq.qnn.simulate import simulate
from snapq.quantization.fidelity import sqnr
from snapq.quantization.recipe import PRESETS, tune
from snapq.quantization.scheme import Scheme
from snapq.runtime import cpu_session

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests import assets

DEVICE = "qcs9075"
PRECISIONS = {"w8a8": ActivationType.UINT8, "w8a16": ActivationType.UINT16}
CALIBRATION, EVALUATION = 32, 8
Feeds = dict[str, np.ndarray]


@dataclass(frozen=True)
class Entry:
    """A model, its input shapes, and what makes its samples from a folder of pictures."""

    get: Callable[[], Path]
    inputs: dict[str, object]
    samples: Callable[[Path, int, int], Iterator[Feeds]]


def pictures(folder: Path, count: int, part: int) -> Iterator[Image.Image]:
    """Every other picture for one part, starting with `part`."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".png", ".jpg", ".jpeg"))
    for path in files[part::2][:count]:
        yield Image.open(path).convert("RGB")


def classified(folder: Path, count: int, part: int) -> Iterator[Feeds]:
    for picture in pictures(folder, count, part):
        pixels = np.asarray(picture.resize((224, 224)), np.float32)
        yield {"input": ((pixels - 127) / 128).transpose(2, 0, 1)[None]}


def faces(folder: Path, count: int, part: int) -> Iterator[Feeds]:
    for picture in pictures(folder, count, part):
        pixels = np.asarray(picture.resize((640, 480)), np.float32)
        yield {"input.1": pixels.transpose(2, 0, 1)[None]}


def lines(folder: Path, count: int, part: int) -> Iterator[Feeds]:
    """Rendered words on plain and noisy grounds."""
    random = np.random.default_rng(part)
    letters = list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789   ")
    for _ in range(count):
        text = "".join(random.choice(letters, int(random.integers(8, 24))))
        light = tuple(int(v) for v in random.integers(150, 255, 3))
        image = Image.new("RGB", (320, 48), light)
        font = ImageFont.load_default(size=int(random.integers(20, 30)))
        ImageDraw.Draw(image).text((4, int(random.integers(4, 14))), text, (20, 20, 60), font)
        pixels = np.asarray(image, np.float32) + random.normal(0, 6, (48, 320, 3))
        yield {"x": ((pixels / 255 - 0.5) / 0.5).astype(np.float32).transpose(2, 0, 1)[None]}


def voices(folder: Path, count: int, part: int) -> Iterator[Feeds]:
    """Tones with overtones that come and go, and a state that is fed back."""
    random = np.random.default_rng(part)
    session = cpu_session(io.to_bytes(ready("silero-vad")))
    state, before = np.zeros((2, 1, 128), np.float32), np.zeros(64, np.float32)
    time_, pitch, loud = np.arange(512) / 16000, 120.0, 0.1
    for index in range(8 * count):
        if index % 12 == 0:
            pitch, loud = random.uniform(90, 240), float(random.choice([0.0, 0.02, 0.1, 0.3]))
        tones = sum(
            np.sin(2 * np.pi * pitch * k * (time_ + index * 0.032)) / k for k in range(1, 20)
        )
        sound = (loud * tones / 3 + random.normal(0, 0.003, 512)).astype(np.float32)
        feeds = {"input": np.concatenate([before, sound])[None], "state": state}
        if index % 8 == 7:
            yield feeds
        before, state = sound[-64:], session.run(["stateN"], feeds)[0]


MODELS = {
    "efficientnet-lite0": Entry(assets.efficientnet_lite0, {"input": (1, 3, 224, 224)}, classified),
    "centerface": Entry(assets.centerface, {"input.1": (1, 3, 480, 640)}, faces),
    "ppocr-rec": Entry(assets.ppocr_rec, {"x": (1, 3, 48, 320)}, lines),
    "silero-vad": Entry(
        assets.silero_vad, {"input": (1, 576), "sr": 16000, "state": (2, 1, 128)}, voices
    ),
}


def ready(name: str):
    """The prepared float model."""
    entry = MODELS[name]
    return prepare(io.load(entry.get()), entry.inputs).model


def by_onnxruntime(name: str, path: Path, calibration: Iterable[Feeds], precision: str) -> None:
    """The stock Q/DQ model for QNN with min-max ranges and weights by channel."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize
    from onnxruntime.quantization.execution_providers.qnn import (
        get_qnn_qdq_config,
        qnn_preprocess_model,
    )

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._left = iter(calibration)

        def get_next(self) -> Feeds | None:
            return next(self._left, None)

    frozen, ready_ = path.with_suffix(".float.onnx"), path.with_suffix(".ready.onnx")
    io.save(freeze(io.load(MODELS[name].get()), MODELS[name].inputs), frozen)
    source = ready_ if qnn_preprocess_model(frozen, ready_) else frozen
    activations = QuantType.QUInt16 if precision == "w8a16" else QuantType.QUInt8
    config = get_qnn_qdq_config(
        source,
        Reader(),
        activation_type=activations,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )
    quantize(source, path, config)


def by_snapq(name: str, path: Path, calibration: list[Feeds], precision: str, preset: str) -> None:
    scheme = Scheme(activations=PRECISIONS[precision], architecture=find(DEVICE).architecture)
    io.save(tune(ready(name), calibration, scheme, PRESETS[preset]).model, path)


def on_the_simulator(path: Path, samples: list[Feeds], truth: list[Feeds]) -> float:
    """SQNR of the worst output, mean over samples, in dB."""
    options = CompileOptions(fp16=True)
    outputs = list(simulate(path, find(DEVICE), samples, workers=1, options=options))
    values = {
        name: [
            sqnr(float(np.square(a[name]).sum()), float(np.square(a[name] - b[name]).sum()))
            for a, b in zip(truth, outputs, strict=True)
        ]
        for name in truth[0]
    }
    return min(float(np.mean(one)) for one in values.values())


def table(name: str, folder: Path, presets: list[str], work: Path) -> Iterator[str]:
    """The lines of one model."""
    entry = MODELS[name]
    calibration = list(entry.samples(folder, CALIBRATION, 0))
    samples = list(entry.samples(folder, EVALUATION, 1))
    session = cpu_session(io.to_bytes(ready(name)))
    names = [output.name for output in session.get_outputs()]
    truth = [dict(zip(names, session.run(names, feeds), strict=True)) for feeds in samples]
    for precision in PRECISIONS:
        base: tuple[float, int, float] | None = None
        for tool in ("onnxruntime", *presets):
            path = work / f"{name}.{precision}.{tool}.onnx"
            started = time.monotonic()
            try:
                if tool == "onnxruntime":
                    by_onnxruntime(name, path, calibration, precision)
                else:
                    by_snapq(name, path, calibration, precision, tool)
                seconds = time.monotonic() - started
                near = on_the_simulator(path, samples, truth)
                cycles = estimate(path, find(DEVICE), CompileOptions(fp16=True)).cycles
            except (SnapqError, ValueError, RuntimeError, AttributeError, KeyError) as error:
                yield f"{name:19} {precision:6} {tool:12} {str(error).splitlines()[0][:90]}"
                continue
            text = f"{name:19} {precision:6} {tool:12} {near:6.1f} dB"
            text += f" {cycles:9} cycles {seconds:6.1f} s"
            if base is not None:
                text += f"   {near - base[0]:+5.1f} dB, cycles x{cycles / base[1]:.2f},"
                text += f" time x{seconds / base[2]:.2f}"
            elif tool == "onnxruntime":
                base = (near, cycles, seconds)
            yield text


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=list(MODELS), metavar="MODEL")
    parser.add_argument("--images", type=Path, help="pictures; those of the tests if not given")
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=list(PRESETS))
    arguments = parser.parse_args()
    folder = arguments.images or assets.photographs()
    with tempfile.TemporaryDirectory(prefix="snapq-") as work:
        for name in arguments.models:
            for line in table(name, folder, arguments.presets, Path(work)):
                print(line, flush=True)
    print(f"SQNR: simulated for {DEVICE}; cycles: Qualcomm's estimate for {DEVICE}.")


if __name__ == "__main__":
    main()
