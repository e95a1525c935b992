"""Whether the noise of quantization ever raises accuracy: paired, with intervals.

    python -m benchmarks.quantization_noise [--seeds 3] [--epochs 3] [--work DIR]

Trains the network of `examples/fashion-mnist` from several seeds, quantizes each in several ways
(64 calibration pictures out of the training set), and answers all 10,000 test pictures with the
float model and with each quantized one, on this machine's CPU. Printed for each: top-1, its
difference from float, how many answers became right and how many wrong, the 95 % interval of the
difference (of pairs: the pictures on which both agree count nothing), and the two-sided p of an
exact sign test. Below, the mean difference of each way over the seeds.
"""

from __future__ import annotations

import argparse
import sys
from math import comb, sqrt
from pathlib import Path

import numpy as np

import snapq
from snapq.cpu import CpuModel
from snapq.storage import write_bytes

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "fashion-mnist"
sys.path.insert(0, str(EXAMPLE))

import fetch_data  # noqa: E402
import train_model  # noqa: E402

WAYS = {
    "w8a8 fast": ("int8", "uint8", "fast"),
    "w8a8 balanced": ("int8", "uint8", "balanced"),
    "w8a16 fast": ("int8", "uint16", "fast"),
    "w4a8 fast": ("int4", "uint8", "fast"),
    "w4a8 best": ("int4", "uint8", "best"),
}


def answers(model: Path, images: np.ndarray) -> np.ndarray:
    """The class of each picture."""
    running = CpuModel(model)
    (name,) = running.inputs
    found = [
        next(iter(running.run({name: image[None].astype(np.float32)}).values())).argmax()
        for image in images
    ]
    return np.array(found)


def sign_test(more: int, less: int) -> float:
    """Two-sided p of as uneven a split of `more + less` changes, were both sides as likely."""
    count = more + less
    tail = sum(comb(count, k) for k in range(min(more, less) + 1)) / 2**count if count else 1.0
    return min(1.0, 2 * tail)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("build/quantization_noise"))
    given = parser.parse_args()
    fetch_data.write(EXAMPLE / "data")
    data = {path.stem: np.load(path) for path in sorted((EXAMPLE / "data").glob("*.npy"))}
    images, labels = data["test_images"], data["test_labels"]
    samples = [{"image": image[None].astype(np.float32)} for image in data["train_images"][::900]]
    drops: dict[str, list[float]] = {way: [] for way in WAYS}
    for seed in range(given.seeds):
        path = given.work / f"resnet{seed}.onnx"
        if not path.is_file():
            network = train_model.train(
                data["train_images"], data["train_labels"], given.epochs, seed
            )
            model = train_model.to_onnx(network)
            write_bytes(path, model.SerializeToString(deterministic=True))
        right = answers(path, images) == labels
        print(f"seed {seed}: float {right.mean():.2%}")
        for way, (weights, activations, preset) in WAYS.items():
            output = path.with_suffix(f".{way.replace(' ', '-')}.onnx")
            snapq.quantize(
                path,
                samples,
                weights=weights,
                activations=activations,
                preset=preset,
                output=output,
                overwrite=True,
            )
            then = answers(output, images) == labels
            more, less = int((then & ~right).sum()), int((right & ~then).sum())
            change = (more - less) / len(labels)
            error = 1.96 * sqrt((more + less) / len(labels) - change**2) / sqrt(len(labels))
            drops[way].append(change)
            print(
                f"  {way:14} {then.mean():.2%}, {100 * change:+.2f} points ± {100 * error:.2f}; "
                f"{more} became right, {less} wrong; p = {sign_test(more, less):.2f}"
            )
    for way, changes in drops.items():
        print(f"{way:14} {100 * np.mean(changes):+.2f} points, mean of {len(changes)} seeds")


if __name__ == "__main__":
    main()
