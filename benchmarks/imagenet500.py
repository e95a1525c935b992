"""Top-1 of EfficientNet-Lite0 on 500 ImageNet pictures: float, and w8a8 on the NPU simulator.

    python benchmarks/imagenet500.py [FOLDER]

FOLDER holds the pictures, one a class, and `labels.csv` (`file,label`); ../shared/data/imagenet
where it is not given. Every 500/64th picture calibrates. Figures are given for the 436 others, for
these 64 and for all, because a model may do better on what it was calibrated on.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import snapq
from snapq.errors import DataError
from snapq.evaluation.samples import evenly_spaced
from snapq.storage import atomic_folder

HERE = Path(__file__).resolve().parent / "imagenet500"
ROOT = HERE.parents[1]
PICTURES = ROOT.parent / "shared" / "data" / "imagenet"
MODEL_BUILDER = ROOT / "examples" / "efficientnet-lite0" / "build_model.py"
CALIBRATION_SAMPLES = 64
PARTS = ("held-out", "calibration")


@dataclass(frozen=True)
class Score:
    """Right answers among pictures."""

    right: int
    pictures: int

    def __add__(self, other: Score) -> Score:
        return Score(self.right + other.right, self.pictures + other.pictures)

    def __str__(self) -> str:
        return f"{self.right / self.pictures:.3f} ({self.right}/{self.pictures})"


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
            mend="Give a folder with pictures and labels.csv (file,label) as argument.",
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


def scores(part: str, runs: Path) -> dict[str, Score]:
    """Runs the deployment, judged on one part of the pictures: score by label, float first."""
    overrides = [
        f"data.evaluation.images={HERE / 'data' / part}",
        f"data.evaluation.labels={HERE / 'data' / f'{part}.csv'}",
    ]
    print(f"Deploying, judged on the {part} pictures; this takes minutes …", file=sys.stderr)
    run = snapq.run(snapq.load(HERE / "deploy.yaml", overrides), runs=runs)
    return {
        record.label: Score(round(record.value * record.samples), record.samples)
        for record in run.record.accuracy
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", type=Path, nargs="?", default=PICTURES)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", help="where runs are kept")
    options = parser.parse_args(arguments)
    try:
        link_pictures(options.pictures, HERE / "data")
        subprocess.run([sys.executable, str(MODEL_BUILDER)], check=True)
        held_out, calibration = (scores(part, options.runs) for part in PARTS)
    except snapq.SnapqError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{'top-1':34}" + "".join(f"{label:>22}" for label in held_out))
    for name, part in (
        ("not used for calibration", held_out),
        ("used for calibration", calibration),
        ("all", {label: held_out[label] + calibration[label] for label in held_out}),
    ):
        print(f"{name:34}" + "".join(f"{part[label]!s:>22}" for label in held_out))
    print("float: ONNX Runtime on this machine's CPU. w8a8: simulated for qcs9075.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
