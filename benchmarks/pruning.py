"""EfficientNet-Lite0 cut further and further, without training: estimated time, size and top-1.

    python benchmarks/pruning.py [FOLDER] [--blocks 1 2 3] [--microseconds 165 150] [--judge 250]

FOLDER holds ImageNet pictures, one a class, and `labels.csv` (`file,label`);
../shared/data/imagenet where it is not given, the 20 pictures of the example where that is not
there. Every second picture calibrates and repairs, without its label; of the others `--judge` many
judge. All points are made in one go: speed-ups are over the unmodified model at fp16, sizes over
the model that is quantized and not cut. `--blocks` takes out so many residual blocks,
`--microseconds` cuts channels alone to that estimated time. The last column sets what the compiled
binary lost against what the weights lost: 1 means in proportion.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import snapq
from snapq.storage import atomic_folder

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "efficientnet-lite0"
PICTURES = ROOT.parent / "shared" / "data" / "imagenet"
BASELINE = "fp16 unmodified"


def link_halves(pictures: Path, folder: Path) -> None:
    """Fills `folder` with links: `calibration`, and `judge` with its labels."""
    with (pictures / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = sorted((row["file"], row["label"]) for row in csv.DictReader(file))
    with atomic_folder(folder) as target:
        for part, own in (("calibration", rows[::2]), ("judge", rows[1::2])):
            (target / part).mkdir()
            for name, _ in own:
                (target / part / name).symlink_to((pictures / name).resolve())
            lines = ["file,label", *(",".join(row) for row in own)]
            (target / f"{part}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def overrides(folder: Path, judge: int) -> list[str]:
    """Where the pictures are, for `--set`."""
    return [
        f"data.calibration.images={folder / 'calibration'}",
        "data.calibration.samples=128",
        f"data.evaluation.images={folder / 'judge'}",
        f"data.evaluation.labels={folder / 'judge.csv'}",
        f"data.evaluation.samples={judge}",
        "devices=[qcs9075]",
        "gates={}",
        "benchmark=null",
    ]


def binary_bytes(run: snapq.Run) -> int:
    """Bytes of the compiled binary."""
    files = run.record.bundle[0].files
    return sum(file.bytes for file in files if file.path.endswith(".bin"))


def row(name: str, run: snapq.Run, whole: snapq.Run) -> str:
    """One point of the curve."""
    record = run.record
    speedup = next(item for item in record.speedups if item.baseline == BASELINE)
    estimate = next(item for item in record.estimates if item.label == speedup.candidate)
    scores = {item.label: item.value for item in record.accuracy}
    steps = {step.label: step for step in record.steps}
    texts = [f"{name:>9}", f"{estimate.us:6.0f} us {speedup.value:5.2f}x"]
    macs = weights = 1.0
    if "cut" in steps:
        macs = steps["cut"].macs / steps["prepare"].macs
        weights = steps["cut"].weight_bytes / steps["prepare"].weight_bytes
    binary = binary_bytes(run) / binary_bytes(whole)
    texts.append(f"{macs:6.1%} {weights:7.1%} {binary:7.1%}")
    texts.append(f"{(1 - binary) / (1 - weights):5.2f}" if weights < 1 else " " * 5)
    for label in ("cut", "repair", "quantize"):
        found = steps.get(label)
        texts.append(f"{found.value:8.3f}" if found and found.value is not None else " " * 8)
    texts.append(f"{scores[speedup.candidate]:10.3f}  (float {scores['float']:.3f})")
    return "  ".join(texts)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", type=Path, nargs="?", default=PICTURES)
    parser.add_argument("--blocks", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--microseconds", type=float, nargs="*", default=[165, 150])
    parser.add_argument("--judge", type=int, default=250, help="pictures that judge")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", help="where runs are kept")
    options = parser.parse_args(arguments)
    try:
        for script in ("build_model.py", "fetch_data.py"):
            subprocess.run([sys.executable, str(EXAMPLE / script)], check=True)
        changes = ["devices=[qcs9075]", "gates={}"]
        if (options.pictures / "labels.csv").is_file():
            folder = options.runs / "pruning-pictures"
            link_halves(options.pictures, folder)
            changes = overrides(folder.resolve(), options.judge)
        whole = snapq.run(snapq.load(EXAMPLE / "deploy.yaml", changes), runs=options.runs)
        print(
            "     goal  estimated, qcs9075    MACs  weights  binary  ratio  "
            "top-1: cut    repaired  w8a8 host  simulated"
        )
        print(row("not cut", whole, whole))
        points = [(f"{n} blocks", f"stages.prune={{blocks: {n}}}") for n in options.blocks]
        for us in options.microseconds:
            goal = f"stages.prune={{target: {{estimate_us: {us:g}, compiles: 48}}}}"
            points.append((f"{us:g} us", goal))
        for name, goal in points:
            config = snapq.load(EXAMPLE / "pruned.yaml", [*changes, goal])
            print(row(name, snapq.run(config, runs=options.runs), whole), flush=True)
    except snapq.SnapqError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
