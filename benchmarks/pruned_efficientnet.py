"""EfficientNet-Lite0 made shallower: top-1 and estimated time, after every step.

    python benchmarks/pruned_efficientnet.py [FOLDER] [--blocks 1 2 3] [--epochs 12]

FOLDER holds 500 ImageNet pictures, one a class, and `labels.csv` (`file,label`);
../shared/data/imagenet where it is not given. Every second picture judges. The others, without
their labels, and 64 crops of photographs calibrate and, with `--epochs`, teach: the float original
answers for them. For each number of residual blocks, the model without the ones that it misses the
least is quantized to w8a8, compiled for qcs9075 and simulated. Training needs PyTorch (`pip install
torch`), and about a quarter of an hour a point on one core. With two blocks less, 314
pictures taught nothing that 250 others could show, so it is left out where it is not asked for.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import snapq
from snapq.errors import DataError
from snapq.storage import atomic_folder

HERE = Path(__file__).resolve().parent / "pruned_efficientnet"
ROOT = HERE.parents[1]
PICTURES = ROOT.parent / "shared" / "data" / "imagenet"
EXAMPLE = ROOT / "examples" / "efficientnet-lite0"
PHOTOGRAPHS = EXAMPLE / "data" / "calibration"
BASELINE = "fp16 unmodified"


def link_pictures(pictures: Path, folder: Path) -> None:
    """Fills `folder` with links: `held-out` with labels, `training` without.

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
    with atomic_folder(folder) as target:
        for part in ("held-out", "training"):
            (target / part).mkdir()
        for index, (name, _) in enumerate(rows):
            part = "training" if index % 2 else "held-out"
            (target / part / name).symlink_to((pictures / name).resolve())
        for path in sorted(PHOTOGRAPHS.iterdir()):
            (target / "training" / path.name).symlink_to(path)
        lines = ["file,label", *(",".join(row) for row in rows[::2])]
        (target / "held-out.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def deploy(blocks: int, epochs: int, runs: Path) -> snapq.Run:
    """Takes out blocks, trains, quantizes, compiles and simulates."""
    overrides = [f"stages.prune.blocks={blocks}", f"stages.finetune.epochs={epochs}"]
    if not epochs:
        stages = f"prepare: {{}}, prune: {{blocks: {blocks}}}, quantize: {{}}, package: {{}}"
        overrides = [f"stages=[{stages}]"]
    print(f"Taking out {blocks} blocks …", file=sys.stderr)
    return snapq.run(snapq.load(HERE / "deploy.yaml", overrides), runs=runs)


def show(blocks: int, run: snapq.Run) -> None:
    """Prints one point of the curve, step by step."""
    record = run.record
    estimate = {item.label: item for item in record.estimates}
    speedup = next(item.value for item in record.speedups if item.baseline == BASELINE)
    package = estimate[run.record.placements[0].label]
    print(
        f"{blocks} blocks less: {package.us:.0f} µs estimated on {package.device}, "
        f"{speedup:.2f}x over {BASELINE} ({estimate[BASELINE].us:.0f} µs)"
    )
    for step in record.steps:
        score = "" if step.value is None else f"top-1 {step.value:.3f} ({step.where})"
        print(f"    {step.label:16} {score}")
    for item in record.accuracy:
        print(f"    {item.label:16} top-1 {item.value:.3f} of {item.samples} ({item.where})")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", type=Path, nargs="?", default=PICTURES)
    parser.add_argument("--blocks", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=0, help="of training; 0 leaves it out")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", help="where runs are kept")
    options = parser.parse_args(arguments)
    try:
        for script in ("build_model.py", "fetch_data.py"):
            subprocess.run([sys.executable, str(EXAMPLE / script)], check=True)
        link_pictures(options.pictures, HERE / "data")
        points = {blocks: deploy(blocks, options.epochs, options.runs) for blocks in options.blocks}
    except snapq.SnapqError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    for blocks, run in points.items():
        show(blocks, run)
    return 0


if __name__ == "__main__":
    sys.exit(main())
