"""Broken ONNX files, through `inspect` and `quantize`."""

from __future__ import annotations

from pathlib import Path
from random import Random

from benchmarks.robustness.case import Case
from benchmarks.robustness.mutations import mutated
from benchmarks.robustness.valid_models import FORMS


def draw(random: Random, folder: Path) -> Case:
    """Writes `model.onnx`, a small valid model broken in one to three ways."""
    form = random.choice(FORMS)
    if form.__name__ == "external" or random.random() < 0.1:
        (folder / "weights.bin").write_bytes(bytes(4096))
    data, what = mutated(form(), random, folder)
    (folder / "model.onnx").write_bytes(data)
    json = ("--json",) if random.random() < 0.3 else ()
    return Case(
        f"{form.__name__}: {what}",
        (
            ("inspect", "model.onnx", "--device", "qcs9075", *json),
            (
                *("quantize", "model.onnx", "-o", "quantized.onnx", "--random-inputs"),
                *("--samples", "2", "--preset", "fast", *json),
            ),
        ),
        frozenset({0, 2}),
    )
