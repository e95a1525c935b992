"""The example of Fashion-MNIST: its deployments load, its model is what was trained."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import snapq
from snapq.cpu import CpuModel

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "fashion-mnist"
sys.path.insert(0, str(EXAMPLE))

import train_model  # noqa: E402


@pytest.mark.parametrize("name", ["deploy.yaml", "w4a8.yaml"])
def test_its_deployments_load(name: str) -> None:
    config = snapq.load(EXAMPLE / name)
    assert [stage.name for stage in config.stages][:2] == ["prepare", "prune"]


def test_its_onnx_model_computes_what_was_trained() -> None:
    torch.manual_seed(0)
    network = train_model.Network()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    network.eval()
    session = CpuModel(train_model.to_onnx(network).SerializeToString()).session
    pixels = np.random.default_rng(0).integers(0, 256, (1, 1, 28, 28)).astype(np.float32)
    (found,) = session.run(None, {"image": pixels})
    with torch.no_grad():
        expected = network(torch.from_numpy(pixels / 255)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
