"""Passes that may slow a network down are judged by the estimate of what would be packaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from snapq.config import Io, JudgeConfig, PrepareConfig
from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.graph import boundary, io
from snapq.graph.passes.order import JUDGED
from snapq.graph.passes.run import all_passes
from snapq.graph.shapes import input_specs
from snapq.npu.model import Model
from snapq.stages import prepare
from snapq.stages.artifact import MODEL
from snapq.stages.base import Context, Input, Outcome, Source

NORMALIZED = """
<ir_version: 10, opset_import: ["" : 21]>
net (float[1, 3, 64, 64] x) => (float[1, 32, 30, 30] y)
<float[1, 3, 1, 1] mean = {0.4, 0.5, 0.6}>
{
    centred = Sub (x, mean)
    y = Conv <strides = [2, 2]> (centred, w)
}
"""


def test_what_is_judged_are_passes() -> None:
    assert JUDGED.keys() <= {item.name for item in all_passes()}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that takes away a mean first, and divides in the end."""
    generator = np.random.default_rng(0)
    read = onnx.parser.parse_model(NORMALIZED)
    weights = generator.standard_normal((32, 3, 5, 5)).astype(np.float32)
    read.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    path = tmp_path_factory.mktemp("normalized") / "normalized.onnx"
    onnx.save(read, path)
    return path


def prepared(model: Path, folder: Path, tries: int, *devices: str) -> Outcome:
    """What the prepare stage says of the model, packaged for some devices at fp16."""
    options = PrepareConfig(judge=JudgeConfig(tries=tries))
    specs = input_specs(io.load(model))
    values = {
        Input.PREVIOUS: Source(model, "float", model.parent),
        Input.DEVICES: tuple(map(find, devices)),
        Input.BOUNDARY: boundary.plan(specs, Io(), {}),
    }
    return prepare.run(options, Context(prepare.reads(options), values), folder)


def cost(file: Path, device: str) -> float:
    return Model(file, find(device)).estimate().precise_us


@pytest.mark.npu
@pytest.mark.slow
@pytest.mark.parametrize("device", ["qcs9075", "sa8797p"])
def test_the_prepared_network_is_no_slower_than_without_a_judged_pass(
    model: Path, tmp_path: Path, device: str
) -> None:
    outcome = prepared(model, tmp_path, 4, device)
    usual = tmp_path / "usual"
    usual.mkdir()
    prepared(model, usual, 0, device)
    tried = outcome.details["judged"]["tried"]
    assert [one["without"] for one in tried][:2] == [[], ["fold_into_next"]]
    kept = cost(tmp_path / MODEL, device)
    assert kept <= 1.01 * min(cost(usual / MODEL, device), cost(model, device))
    left_out = outcome.details["judged"]["left_out"]
    (note,) = outcome.notes
    assert ("Left out" in note) == bool(left_out)
    feeds = {"x": np.ones((1, 3, 64, 64), np.float32)}
    np.testing.assert_allclose(
        CpuModel(tmp_path / MODEL).run(feeds)["y"], CpuModel(model).run(feeds)["y"], atol=1e-4
    )


def test_nothing_is_compiled_where_no_pass_was_applied_that_may_cost(tmp_path: Path) -> None:
    plain = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21]> n (float[4] x) => (float[4] y) {y = Exp(x)}'
    )
    onnx.save(plain, tmp_path / "plain.onnx")
    (tmp_path / "out").mkdir()
    outcome = prepared(tmp_path / "plain.onnx", tmp_path / "out", 4, "qcs9075")
    assert "judged" not in outcome.details
    assert outcome.notes == ()
