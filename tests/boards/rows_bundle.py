"""Bundles of a small forest and of a small SVM, and what can be wrong with one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx

import snapq
from snapq.bundle.manifest import checksum_of
from tests.classical.tables import write

DEPLOY = """\
name: table
model: {path: model.onnx, inputs: {x: [8, 4]}}
devices: [qcs9075]
data: {evaluation: {table: rows.csv, label: class}}
metric: top1
stages: [{package: {golden_samples: 2, optimization_modes: [3]}}]
"""
Manifest = dict[str, Any]


def deploy(folder: Path, model: onnx.ModelProto, *, table: bool = True) -> Path:
    """Deploys a classical model in a folder, with a table of rows or none; the bundle."""
    write(folder, model)
    lines = [line for line in DEPLOY.splitlines() if table or line[:4] not in ("data", "metr")]
    (folder / "deploy.yaml").write_text("\n".join(lines))
    bundle = snapq.run(snapq.load(folder / "deploy.yaml"), runs=folder / "runs").bundle
    assert bundle is not None
    return bundle


def edit(bundle: Path, change: Callable[[Manifest], object]) -> None:
    """Changes the manifest of a bundle, which vouches for itself afterwards."""
    path = bundle / "manifest.json"
    value = json.loads(path.read_text())
    change(value)
    value["checksum"] = checksum_of(value)
    path.write_text(json.dumps(value))
