"""The finetune stage as a user meets it: in deploy.yaml, in the run directory, in the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import snapq
from snapq.errors import ConfigError
from snapq.graph import io
from snapq.quantization.lint.run import lint
from tests.training.models import SHAPE, constants, residual_network

pytestmark = pytest.mark.slow

DEPLOY = """\
name: trained
model: {path: model.onnx}
devices: [qcs9075]
data:
  calibration: {arrays: calibration.npy}
  training: {arrays: training.npy}
stages:
STAGES
  - package: {golden_samples: 1, optimization_modes: [3]}
gates: {npu_nodes: all}
"""
QUANTIZE = "  - quantize: {weights: int4}\n"
FINETUNE = "  - finetune: {steps: 20, batch: 8, lr: 0.01, patience: 20}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    onnx.save(ir.serde.serialize_model(residual_network()), tmp_path / "model.onnx")
    rng = np.random.default_rng(0)
    for name, count in (("calibration", 8), ("training", 32)):
        array = rng.normal(0, 1, (count, *SHAPE[1:])).astype(np.float32)
        np.save(tmp_path / f"{name}.npy", array)
    return tmp_path


@pytest.mark.npu
def test_training_after_quantize_ends_on_the_npu_nearer_to_the_original(project: Path) -> None:
    (project / "deploy.yaml").write_text(DEPLOY.replace("STAGES\n", QUANTIZE + FINETUNE))
    run = snapq.run(snapq.load(project / "deploy.yaml"), output=project / "run")
    assert run.passed  # every node of the trained model runs on the NPU
    stage = run.record.stages[3]
    before, after = stage.details["held_out_loss"]
    assert stage.name == "finetune"
    assert after < before
    assert "Loss over " in run.report.read_text(encoding="utf-8")
    model = io.load(run.folder / "stages" / "03-finetune" / "model.onnx")
    assert lint(model, 73) == ()
    scales = constants(model)
    recorded = {item.tensor: item.scale[0] for item in run.record.encodings}
    for name in ("r1", "w1", "b1", "y"):
        assert recorded[name] == scales[f"{name}_scale"].reshape(-1)[0]


def test_training_without_samples_is_refused_before_any_work(project: Path) -> None:
    text = DEPLOY.replace("STAGES\n", FINETUNE)
    start, end = text.index("data:"), text.index("stages:")
    (project / "deploy.yaml").write_text(text[:start] + text[end:])
    with pytest.raises(ConfigError, match=r"data\.training"):
        snapq.run(snapq.load(project / "deploy.yaml"), output=project / "run")
