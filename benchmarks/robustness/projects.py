"""The small project that cases start from: a classifier with pictures and labels of its own."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline.conftest import make_project

FILES = ("tiny.onnx", "pictures", "labels.csv")

TEMPLATES = (
    """\
name: tiny
model:
  path: tiny.onnx
  inputs: {image: [1, 3, 32, 32]}
devices: [qcs9075, sm8650]
data:
  calibration: {images: pictures, samples: 4, preprocess: &pre {mean: 127, std: [128, 128, 128]}}
  evaluation: {images: pictures, labels: labels.csv, preprocess: *pre}
metric: top1
stages:
  - quantize: {weights: int8, activations: uint8, preset: fast}
  - package: {golden_samples: 2}
gates: {max_accuracy_drop: 0.5, npu_nodes: all, min_sqnr_db: 5}
benchmark: {target: local, warmup: 1, min_runs: 10, min_duration_s: 0.1, repeats: 1, cooldown_s: 0}
""",
    """\
name: pruned
model: {path: tiny.onnx, inputs: {image: [1, 3, 32, 32]}}
devices: [qcs6490]
data:
  calibration:
    images: pictures
    preprocess: {resize: 40, crop: [32, 32], mean: [1, 2, 3], std: 4, color: bgr, resample: nearest}
stages:
  - prepare: {}
  - prune: {ratio: 0.25, keep: [stem, body], importance: magnitude}
  - quantize:
      activations: uint16
      observer: {percentile: 99.9}
      algorithms: [cle]
      overrides:
        - {nodes: [head], weights: int8}
        - {pattern: "body*", keep: float}
  - package: {}
io: {}
""",
    """\
name: "random${NOT_SET:-x}"
model:
  path: ./tiny.onnx
  inputs:
    image:
      - 1
      - 3
      - 32
      - 32
targets:
  - qcs9075
data:
  calibration: {random: true, samples: 4, seed: 3}
stages:
  - cluster: {}
  - quantize:
      mixed_precision: {min_sqnr_db: 20}
      keep_wide: false
""",
)


def make(folder: Path) -> None:
    """Writes the project's files into `folder`."""
    make_project(folder)


def link(folder: Path) -> None:
    """Puts the shared files of the project into the folder of a case."""
    for name in FILES:
        (folder / name).symlink_to(folder.parent / "shared" / name)
