"""Broken ONNX files through every other command that takes a model, whole runs among them."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np

from benchmarks.robustness.case import Case
from benchmarks.robustness.mutations import mutated
from benchmarks.robustness.valid_models import FORMS

_CPU_STAGES = "[{prepare: {}}, {quantize: {preset: fast}}]"
_NPU_STAGES = "[{quantize: {preset: fast}}, {package: {golden_samples: 1}}]"
_DEPLOY = """\
name: broken
model: {{path: model.onnx}}
devices: [qcs9075]
data: {{calibration: {{random: true, samples: 2}}}}
stages: {stages}
"""


def draw(random: Random, folder: Path) -> Case:
    """Writes `model.onnx`, a deploy.yaml and samples; draws two of the commands."""
    form = random.choice(FORMS)
    (folder / "weights.bin").write_bytes(bytes(4096))
    model = form()
    samples = {
        value.name: np.ones([dim.dim_value for dim in value.type.tensor_type.shape.dim], np.float32)
        for value in model.graph.input
    }
    data, what = mutated(model, random, folder)
    (folder / "model.onnx").write_bytes(data)
    np.savez(folder / "samples.npz", **samples)
    stages = _NPU_STAGES if random.random() < 0.3 else _CPU_STAGES
    (folder / "deploy.yaml").write_text(_DEPLOY.format(stages=stages), encoding="utf-8")
    json = ("--json",) if random.random() < 0.3 else ()
    some = ("--random-inputs", "--samples", "2")
    commands: tuple[tuple[str, ...], ...] = (
        ("init", "model.onnx", "-o", "first.yaml"),
        ("validate", "deploy.yaml", *json),
        ("plan", "deploy.yaml", *json),
        ("run", "deploy.yaml", "--output", "out"),
        ("run", "deploy.yaml", "--output", "out"),
        ("estimate", "model.onnx", "--device", "qcs9075", *json),
        *_on_samples(json),
        ("analyze", "model.onnx", "--device", "qcs9075", *some, *json),
        ("prune", "model.onnx", "-o", "pruned.onnx", "--ratio", "0.3", *some, *json),
        ("encodings", "export", "model.onnx", "-o", "model.encodings", *json),
    )
    return Case(f"{form.__name__}: {what}", tuple(random.sample(commands, 2)))


def _on_samples(json: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    given = ("model.onnx", "--device", "qcs9075", "--inputs", "samples.npz", "-o", "out.npz")
    return (("simulate", *given, *json),)
