"""`snapq search` against random search: how much of the plane of time and loss each covers.

    python benchmarks/search.py [--example examples/efficientnet-lite0 | --small]
        [--trials 60] [--turn 10] [--seeds 0 1 2] [--max-drop 0.1] [--samples 64] [--runs FOLDER]

For each seed the search and a random one make as many trials over the same space, with one stage
cache, in turns of some each, and look for points that lose at most `--max-drop`. The hypervolume is
that of simulated points that are faster than the file's own (by 5 % slower, to be exact) and lose
no more than that; the one against the worst time and loss of all points is told too, and is always
near 1, as a point that loses everything spans most of it. The last line is the least ratio of the
seeds, which is to be 1.2 or more. With the example of EfficientNet-Lite0 its `pruned.yaml` is run
too, and a frontier is to have a point at least as good in both. `--small` is a network for
handwritten digits that PyTorch trains in a minute (needs scikit-learn for its pictures). A run that
was stopped goes on, as a search does.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import snapq
from snapq import api
from snapq.records import SearchRecord
from snapq.searching.frontier import Point, hypervolume, worst_of

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "efficientnet-lite0"
SAMPLERS = ("tpe", "random")
ASKED = 1.2


def digits(folder: Path) -> Path:
    """A small residual network for 8x8 digits at twice their size, trained; its deploy.yaml."""
    import torch
    from sklearn.datasets import load_digits
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self, channels: int, inner: int) -> None:
            super().__init__()
            self.first = nn.Conv2d(channels, inner, 1)
            self.middle = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
            self.last = nn.Conv2d(inner, channels, 1)

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            inner = functional.relu6(self.first(given))
            return given + self.last(functional.relu6(self.middle(inner)))

    found = load_digits()
    pictures = np.kron(found.images[:, None] * 16, np.ones((1, 1, 2, 2))).clip(0, 255)
    pictures, labels = pictures.astype(np.float32), found.target.astype(np.int64)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = nn.Sequential(
        nn.Conv2d(1, 64, 3, stride=2, padding=1),
        *(Block(64, 128) for _ in range(3)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    inputs, answers = torch.from_numpy(pictures / 255), torch.from_numpy(labels)
    for _ in range(150):
        chosen = torch.randint(0, 1200, (64,))
        optimizer.zero_grad()
        functional.cross_entropy(network(inputs[chosen]), answers[chosen]).backward()
        optimizer.step()
    network.eval()
    example = torch.zeros(1, 1, 16, 16)
    torch.onnx.export(network, (example,), folder / "digits.onnx", dynamo=False)
    np.save(folder / "calibration.npy", pictures[:1200] / 255)
    np.save(folder / "evaluation.npy", pictures[1500:] / 255)
    np.save(folder / "labels.npy", labels[1500:])
    path = folder / "deploy.yaml"
    path.write_text(
        "name: digits\nmodel: {path: digits.onnx}\ndevices: [qcs9075]\n"
        "data:\n  calibration: {arrays: calibration.npy, samples: 16}\n"
        "  evaluation: {arrays: evaluation.npy, labels: labels.npy, samples: 60}\n"
        "metric: top1\nstages:\n  - quantize: {}\n  - package: {golden_samples: 1}\n"
    )
    return path


def searched(path: Path, sampler: str, seed: int, given: argparse.Namespace) -> SearchRecord:
    clock, spent = time.monotonic(), _processor_seconds()
    found = api.search(
        path,
        given.sets,
        trials=given.trials,
        max_drop=given.max_drop,
        seed=seed,
        sampler=sampler,
        runs=given.runs,
    )
    states = [one.state for one in found.record.trials]
    told = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    print(
        f"{sampler:6} seed {seed}: {told}; {time.monotonic() - clock:.0f} s of the clock, "
        f"{_processor_seconds() - spent:.0f} of the processors",
        flush=True,
    )
    for one in found.frontier:
        print(f"    trial {one.number}: {one.us:.1f} us, loss {one.loss:.4f}")
    return found.record


def compared(path: Path, given: argparse.Namespace) -> dict[tuple[str, int], SearchRecord]:
    """All searches, both samplers taking turns, so that a run that was stopped says something."""
    whole, records = given.trials, {}
    for seed in given.seeds:
        for trials in (*range(given.turn, whole, given.turn), whole):
            given.trials = trials
            for sampler in SAMPLERS:
                records[sampler, seed] = searched(path, sampler, seed, given)
            ours, theirs = (
                hypervolume(points(records[one, seed]), _asked_for(records, given))
                for one in SAMPLERS
            )
            ratio = ours / theirs if theirs else float("inf")
            print(f"seed {seed} at {trials} trials: {ours:.3f} against {theirs:.3f}: {ratio:.3f}")
    return records


def _asked_for(records: dict[tuple[str, int], SearchRecord], given: argparse.Namespace) -> Point:
    """The time and the loss below which a point counts."""
    own = next(one for record in records.values() for one in record.trials if one.own)
    slowest = max(one.us for record in records.values() for one in record.trials if one.us)
    return 1.05 * (own.us or slowest), given.max_drop + 1e-9


def points(record: SearchRecord) -> list[Point]:
    return [
        (one.us, one.loss) for one in record.trials if one.us is not None and one.loss is not None
    ]


def hand_made(path: Path, runs: Path, sets: list[str]) -> Point:
    """Time and loss of the example's own pruned deployment."""
    record = snapq.run(snapq.load(path, sets), runs=runs).record
    values = {one.label == "float": one.value for one in record.accuracy}
    estimate = next(one for one in record.estimates if one.label == "w8a8")
    return estimate.precise_us, values[True] - values[False]


def _processor_seconds() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--example", type=Path, default=EXAMPLE)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--turn", type=int, default=10, help="trials of each before the other's")
    parser.add_argument("--max-drop", type=float, default=0.1)
    parser.add_argument("--samples", type=int, help="calibration samples, instead of the file's")
    parser.add_argument("--device", default="qcs9075")
    parser.add_argument("--runs", type=Path)
    given = parser.parse_args()
    given.runs = runs = given.runs or Path(tempfile.mkdtemp())
    runs.mkdir(parents=True, exist_ok=True)
    path = given.example / "deploy.yaml"
    if not given.small and not (given.example / "model").is_dir():
        sys.exit("The example has no model yet: make demo fetches it and its pictures.")
    if given.small:
        path = runs / "deploy.yaml"
        path = path if path.is_file() else digits(runs)
    given.sets = [f'devices=["{given.device}"]']
    if given.samples:
        given.sets.append(f"data.calibration.samples={given.samples}")
    records = compared(path, given)
    worst = worst_of([point for record in records.values() for point in points(record)])
    asked_for = _asked_for(records, given)
    ratios = []
    for seed in given.seeds:
        (ours, theirs), (all_ours, all_theirs) = (
            [hypervolume(points(records[one, seed]), against) for one in SAMPLERS]
            for against in (asked_for, worst)
        )
        ratios.append(ours / theirs if theirs else float("inf"))
        print(
            f"seed {seed}: hypervolume {ours:.3f} against {theirs:.3f}: {ratios[-1]:.3f}; against "
            f"the worst of all {all_ours / all_theirs:.3f}"
        )
    pruned = given.example / "pruned.yaml"
    if not given.small and pruned.is_file():
        us, loss = hand_made(pruned, runs, given.sets)
        for seed in given.seeds:
            better = [
                one.number
                for one in records["tpe", seed].frontier
                if one.us <= us and one.loss <= loss + 1e-9
            ]
            print(
                f"seed {seed}: at least as good as pruned.yaml ({us:.1f} us, {loss:.4f}): {better}"
            )
    print(f"least ratio {min(ratios):.3f}, {ASKED} asked")
    sys.exit(0 if min(ratios) >= ASKED else 1)


if __name__ == "__main__":
    main()
