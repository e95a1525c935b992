"""What no device can run, or no random sample feeds, is told before any work, with a way out."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir
import pytest

from snapq import api
from snapq.errors import DataError, ModelError, SnapqError
from tests.graph.models import build

DEPLOY = """\
name: m
model: {path: m.onnx}
devices: [qcs9075]
data: {calibration: {random: true, samples: 1}}
stages: [quantize: {}, package: {}]
"""


def _refused(folder: Path, text: str) -> SnapqError:
    ir.save(build(text), folder / "m.onnx")
    (folder / "deploy.yaml").write_text(DEPLOY)
    with pytest.raises(SnapqError) as caught:
        api.run(folder / "deploy.yaml", runs=folder / "runs")
    return caught.value


def test_an_output_that_data_sizes_names_the_node(tmp_path: Path) -> None:
    error = _refused(
        tmp_path,
        "(float[4,4] x, float[4,4] w) => (float[N,M] y) {"
        " h = MatMul (x, w) places = NonZero (h) y = Cast <to = 1> (places) }",
    )
    assert isinstance(error, ModelError)
    assert error.where == "y"
    assert "by NonZero 'NonZero_places'" in error.what
    assert "Cut the model" in str(error.hint)


def test_a_layer_that_is_longer_than_its_input_is_named(tmp_path: Path) -> None:
    error = _refused(
        tmp_path,
        "(float[1,1,1] x, float[4,1,20] w) => (float[1,4,M] y) {"
        " h = Conv <strides = [10]> (x, w) y = Relu (h) }",
    )
    assert "no elements" in error.what
    assert "Conv 'Conv_h'" in error.what


def test_random_samples_that_a_model_cannot_take_are_told_from_real_ones(tmp_path: Path) -> None:
    error = _refused(
        tmp_path,
        "(float[1,8] x, int64[1] n) => (float[1,8] y) <float two = {2}> {"
        " f = Cast <to = 1> (n) less = Sub (f, two) root = Sqrt (less) y = Mul (x, root) }",
    )
    assert isinstance(error, DataError)
    assert "NaN" in error.what
    assert "random" in str(error.hint)
    assert "model.inputs" in str(error.hint)
