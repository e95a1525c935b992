"""What the presets do to an answer: EfficientNet-Lite0 on 500 ImageNet pictures.

    python benchmarks/imagenet500.py [FOLDER] [--precision w8a8 w4a16 …] [--preset fast best …]

FOLDER holds the pictures, one a class, and `labels.csv` (`file,label`); ../shared/data/imagenet
where it is not given. Every 500/64th picture calibrates. One line a precision and preset: top-1,
how often the answer is the float model's, and SQNR of the logits against float, on the NPU
simulator; for the 436 others, and for all, because a model may do better on what it was calibrated
on. `benchmarks/peers/compare.py` sets snapq beside other tools.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import snapq
from snapq.config import DataSource, Preprocess
from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.errors import DataError
from snapq.evaluation.datasets import open_dataset
from snapq.evaluation.samples import Sample, evenly_spaced
from snapq.evaluation.sqnr import sqnr
from snapq.graph import io, shapes
from snapq.npu.qnn.options import CompileOptions
from snapq.npu.qnn.simulate import simulate
from snapq.storage import atomic_folder

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT.parent / "shared" / "data" / "imagenet"
EXAMPLE = ROOT / "examples" / "efficientnet-lite0"
MODEL = EXAMPLE / "model" / "efficientnet_lite0.onnx"
PREPROCESS = Preprocess(resize=256, crop=224, mean=(127.0,), std=(128.0,))
DEVICE = "qcs9075"
CALIBRATION_SAMPLES = 64
PARTS = ("held-out", "calibration")
PRECISIONS = {
    "w8a8": ("int8", "uint8"),
    "w8a16": ("int8", "uint16"),
    "w4a8": ("int4", "uint8"),
    "w4a16": ("int4", "uint16"),
}


@dataclass(frozen=True)
class Answers:
    """What a model says of some pictures.

    Attributes:
        logits: `[N, classes]`.
        labels: `[N]`.
    """

    logits: np.ndarray
    labels: np.ndarray

    def __add__(self, other: Answers) -> Answers:
        both = np.concatenate([self.logits, other.logits])
        return Answers(both, np.concatenate([self.labels, other.labels]))

    def against(self, truth: Answers) -> str:
        """Top-1, share of answers that are the float model's, SQNR in dB."""
        answer = self.logits.argmax(axis=1)
        top1 = (answer == self.labels).mean()
        same = (answer == truth.logits.argmax(axis=1)).mean()
        noise = float(np.square(truth.logits - self.logits).sum())
        near = sqnr(float(np.square(truth.logits).sum()), noise)
        return f"{top1:8.3f}{same:8.3f}{near:7.1f}"


def link_pictures(pictures: Path, folder: Path) -> None:
    """Fills `folder` with links to the calibration pictures and to the others, each with labels.

    Raises:
        DataError: the pictures or their labels are not there.
    """
    table = pictures / "labels.csv"
    if not table.is_file():
        raise DataError(
            "There is no labels.csv, so this benchmark cannot run.",
            where=str(pictures),
            hint="Give a folder with pictures and labels.csv (file,label) as argument.",
        )
    with table.open(encoding="utf-8", newline="") as file:
        rows = sorted((row["file"], row["label"]) for row in csv.DictReader(file))
    chosen = set(evenly_spaced(len(rows), CALIBRATION_SAMPLES))
    with atomic_folder(folder) as target:
        for part in PARTS:
            (target / part).mkdir()
            own = [row for i, row in enumerate(rows) if (i in chosen) == (part == "calibration")]
            for name, _ in own:
                (target / part / name).symlink_to((pictures / name).resolve())
            lines = ["file,label", *(",".join(row) for row in own)]
            (target / f"{part}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def samples(folder: Path, part: str) -> list[Sample]:
    """The pictures of one part as the model takes them."""
    source = DataSource(images=folder / part, labels=folder / f"{part}.csv", preprocess=PREPROCESS)
    specs = shapes.input_specs(io.load(MODEL))
    return list(open_dataset(source, specs, base=folder, labelled=True))


def answers(outputs: Iterable[dict[str, np.ndarray]], pictures: Sequence[Sample]) -> Answers:
    """Logits beside labels."""
    logits = np.concatenate([one["logits"] for one in outputs])
    return Answers(logits, np.array([int(str(sample.label)) for sample in pictures]))


def table(pictures: Path, work: Path, precisions: Sequence[str], presets: Sequence[str]) -> None:
    """Prints a line for each precision and preset.

    Args:
        pictures: what `link_pictures` made.
        work: a folder for models.
        precisions: keys of `PRECISIONS`.
        presets: of the quantize stage.
    """
    parts = {part: samples(pictures, part) for part in PARTS}
    session = CpuModel(MODEL).session
    truth = {
        part: answers(({"logits": session.run(None, dict(s.feeds))[0]} for s in some), some)
        for part, some in parts.items()
    }
    print(f"{'':18}{'436 held out':^23}{'all 500':^23}")
    print(f"{'':18}{'top-1':>8}{'same':>8}{'dB':>7}{'top-1':>8}{'same':>8}{'dB':>7}{'seconds':>9}")
    whole = truth["held-out"] + truth["calibration"]
    print(f"{'float':18}{truth['held-out'].against(truth['held-out'])}{whole.against(whole)}")
    for precision in precisions:
        weights, activations = PRECISIONS[precision]
        for preset in presets:
            path = work / f"{precision}.{preset}.onnx"
            started = time.monotonic()
            snapq.quantize(
                MODEL,
                [sample.feeds for sample in parts["calibration"]],
                weights=weights,
                activations=activations,
                preset=preset,
                devices=[DEVICE],
                output=path,
            )
            seconds = time.monotonic() - started
            found = {
                part: answers(
                    simulate(
                        path,
                        find(DEVICE),
                        (sample.feeds for sample in some),
                        options=CompileOptions(fp16=True),
                    ),
                    some,
                )
                for part, some in parts.items()
            }
            every = found["held-out"] + found["calibration"]
            print(
                f"{precision:8}{preset:10}{found['held-out'].against(truth['held-out'])}"
                f"{every.against(whole)}{seconds:9.0f}",
                flush=True,
            )
    print(f"float: ONNX Runtime on this machine's CPU. All others: simulated for {DEVICE}.")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", type=Path, nargs="?", default=PICTURES)
    parser.add_argument("--precision", nargs="+", default=["w8a8"], choices=list(PRECISIONS))
    parser.add_argument("--preset", nargs="+", default=["fast", "best"])
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="snapq-") as work:
            link_pictures(options.pictures, Path(work) / "data")
            subprocess.run([sys.executable, str(EXAMPLE / "build_model.py")], check=True)
            table(Path(work) / "data", Path(work), options.precision, options.preset)
    except snapq.SnapqError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
