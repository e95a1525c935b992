"""Whether the noise of quantization ever raises accuracy: paired, with intervals.

    python -m benchmarks.quantization_noise [--seeds 3] [--epochs 4] [--models plain …] [--work DIR]

Four small networks, each trained from several seeds, answer all 10,000 test pictures of
Fashion-MNIST (64 training pictures calibrate), and EfficientNet-Lite0 answers 436 pictures of
ImageNet that did not calibrate it (where `benchmarks/imagenet500.py` finds them): as float, and
quantized in several ways, on this machine's CPU. A line for each network and way: the difference
from float in points of top-1 with its 95 % interval (of pairs: a picture on which both agree counts
nothing; of several seeds: of each picture's mean), how many pictures were gained and how many lost
(over the seeds, which answer the same ones), and the two-sided p of an exact sign test. Last: how
many differences stand after Holm's correction.

Models and answers stay in DIR, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb, sqrt
from pathlib import Path

import numpy as np

import snapq
from benchmarks import imagenet500
from snapq.cpu import CpuModel
from snapq.storage import atomic_path

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "fashion-mnist"
sys.path.insert(0, str(EXAMPLE))

import fetch_data  # noqa: E402

CLASSIFIER = "efficientnet-lite0"
WAYS = {
    "w8a8 fast": ("int8", "uint8", "fast"),
    "w8a8 balanced": ("int8", "uint8", "balanced"),
    "w8a16 fast": ("int8", "uint16", "fast"),
    "w4a8 fast": ("int4", "uint8", "fast"),
    "w4a8 balanced": ("int4", "uint8", "balanced"),
}
Feeds = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Trained:
    """A float model, and what it is asked.

    Attributes:
        name: of the network.
        model: its ONNX file; what is made of it lies beside it.
        calibration: samples to quantize with.
        pictures: samples to answer.
        labels: `[N]`, the right answers.
    """

    name: str
    model: Path
    calibration: Sequence[Feeds]
    pictures: Sequence[Feeds]
    labels: np.ndarray

    def right(self, way: str | None) -> np.ndarray:
        """Which answers are right, `[N]`: of the float model, or quantized in a way."""
        model = self.model if way is None else self._quantized(way)
        kept = model.with_suffix(".npy")
        if not kept.is_file():
            running = CpuModel(model)
            (output,) = running.outputs
            found = [running.run(feeds)[output].argmax() for feeds in self.pictures]
            with atomic_path(kept) as temporary, temporary.open("wb") as file:
                np.save(file, np.array(found))
        same: np.ndarray = np.load(kept) == self.labels
        return same

    def _quantized(self, way: str) -> Path:
        path = self.model.with_suffix(f".{way.replace(' ', '-')}.onnx")
        if not path.is_file():
            weights, activations, preset = WAYS[way]
            snapq.quantize(
                self.model,
                self.calibration,
                weights=weights,
                activations=activations,
                preset=preset,
                output=path,
            )
        return path


def clothes(name: str, seeds: int, epochs: int, work: Path) -> Iterator[Trained]:
    """One of the small networks, trained from each seed."""
    from benchmarks import small_networks

    fetch_data.write(EXAMPLE / "data")
    data = {path.stem: np.load(path) for path in sorted((EXAMPLE / "data").glob("*.npy"))}
    images, labels = data["train_images"], data["train_labels"]

    def feeds(some: np.ndarray) -> list[Feeds]:
        return [{"image": image[None].astype(np.float32)} for image in some]

    for seed in range(seeds):
        path = work / f"{name}{seed}-{epochs}.onnx"
        if not path.is_file():
            small_networks.write(small_networks.train(name, images, labels, epochs, seed), path)
        calibration = feeds(images[:: len(images) // 64][:64])
        yield Trained(name, path, calibration, feeds(data["test_images"]), data["test_labels"])


def photographs(work: Path) -> Iterator[Trained]:
    """EfficientNet-Lite0 and the pictures of ImageNet. Raises `DataError` where there are none."""
    folder = work / "imagenet"
    if not folder.is_dir():
        imagenet500.link_pictures(imagenet500.PICTURES, folder)
    subprocess.run([sys.executable, str(imagenet500.EXAMPLE / "build_model.py")], check=True)
    path = work / f"{CLASSIFIER}.onnx"
    if not path.exists():
        path.symlink_to(imagenet500.MODEL)
    some = imagenet500.samples(folder, "held-out")
    calibration = [one.feeds for one in imagenet500.samples(folder, "calibration")]
    labels = np.array([int(str(one.label)) for one in some])
    yield Trained(CLASSIFIER, path, calibration, [one.feeds for one in some], labels)


def sign_test(more: int, less: int) -> float:
    """Two-sided p of as uneven a split of `more + less` changes, were both sides as likely."""
    count = more + less
    tail = sum(comb(count, k) for k in range(min(more, less) + 1)) / 2**count if count else 1.0
    return min(1.0, 2 * tail)


def standing(values: Sequence[float], level: float = 0.05) -> set[int]:
    """Indices of the p values that stand after Holm's correction."""
    found = set()
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        if values[index] > level / (len(values) - rank):
            break
        found.add(index)
    return found


def main() -> None:
    """The command line."""
    from benchmarks.small_networks import NETWORKS

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    names = [*NETWORKS, CLASSIFIER]
    parser.add_argument("--models", nargs="+", default=names, choices=names)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--work", type=Path, default=Path("build/quantization_noise"))
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    tests, changes = [], []
    for name in given.models:
        own = given.work.resolve()
        of_seed = (
            photographs(own)
            if name == CLASSIFIER
            else clothes(name, given.seeds, given.epochs, own)
        )
        right: dict[str, list[np.ndarray]] = {}
        for trained in of_seed:
            for way in (None, *given.ways):
                right.setdefault(way or "float", []).append(trained.right(way))
        float_right = np.array(right.pop("float"))
        tops = ", ".join(f"{top:.2%}" for top in float_right.mean(axis=1))
        print(f"{name}: float {tops} of {float_right.shape[1]} pictures", flush=True)
        for way, of_way in right.items():
            change = np.array(of_way).astype(int) - float_right
            net = change.sum(axis=0)
            more, less = int((net > 0).sum()), int((net < 0).sum())
            points = 100 * change.mean(axis=0)
            error = 1.96 * points.std(ddof=1) / sqrt(len(points))
            tests.append(sign_test(more, less))
            changes.append(points.mean())
            print(
                f"  {way:14}{points.mean():+6.2f} points ± {error:.2f}; "
                f"{more} gained, {less} lost; p = {tests[-1]:.2g}",
                flush=True,
            )
    up = [change > 0 for change in changes]
    stand = standing(tests)
    print(
        f"{len(tests)} comparisons: accuracy rose in {sum(up)} and fell in "
        f"{sum(change < 0 for change in changes)}; after Holm's correction "
        f"{sum(up[index] for index in stand)} rises and "
        f"{sum(not up[index] for index in stand)} falls stand (5 %)."
    )


if __name__ == "__main__":
    main()
