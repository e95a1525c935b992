"""Values of secret environment variables stay out of what a run writes down."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import yaml

from snapq.config.reading import load
from snapq.config.reading.secrets import hide, is_secret, literal
from tests.pipeline.conftest import tiny_model

YAML = """\
name: tiny
model: {path: "${MODEL_TOKEN}/tiny$$1.onnx", inputs: {image: [1, 3, 32, 32]}}
devices: [qcs9075]
data: {calibration: {random: true, samples: 2}}
stages: [{prepare: {}}]
"""
VALUE = "hunter$2"


@pytest.mark.parametrize("name", ["API_TOKEN", "secret", "DB_PASSWORD", "aws_access_key_id"])
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret(name)


def test_a_secret_in_a_text_is_called_by_its_name() -> None:
    secrets = {"A_KEY": "hunter2", "B_KEY": "hunter2-more", "PIN_KEY": "1"}
    value = {"a": ["x/hunter2/y", "hunter2-more", "11", "1"], "hunter2": 1}
    expected = {"a": ["x/${A_KEY}/y", "${B_KEY}", "11", "${PIN_KEY}"], "${A_KEY}": 1}
    assert hide(value, secrets) == expected


def test_dollars_are_spelt_so_that_they_stay() -> None:
    assert literal(["a$b", {"$": 1}]) == ["a$$b", {"$$": 1}]


def test_only_secrets_that_the_file_names_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_TOKEN", VALUE)
    monkeypatch.setenv("OTHER_TOKEN", "elsewhere")
    (tmp_path / "deploy.yaml").write_text(YAML)
    config = load(tmp_path / "deploy.yaml", ["seed=3"])
    assert dict(config.secrets) == {"MODEL_TOKEN": VALUE}
    assert dict(config.model_copy(update={"seed": 4}).secrets) == {"MODEL_TOKEN": VALUE}


@pytest.mark.slow
def test_a_run_writes_no_secret_and_can_be_run_again_from_its_own_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import snapq

    monkeypatch.setenv("MODEL_TOKEN", VALUE)
    (tmp_path / VALUE).mkdir()
    onnx.save(tiny_model(), tmp_path / VALUE / "tiny$1.onnx")
    (tmp_path / "deploy.yaml").write_text(YAML)
    snapq.run(tmp_path / "deploy.yaml", runs=tmp_path / "runs", output=tmp_path / "out")
    written = tmp_path / "out" / "config.yaml"
    for path in (written, tmp_path / "out" / "run.json", tmp_path / "out" / "report.html"):
        assert VALUE not in path.read_text(), path.name
    assert "${MODEL_TOKEN}" in yaml.safe_load(written.read_text())["model"]["path"]
    assert load(written).model_dump() == load(tmp_path / "deploy.yaml").model_dump()
