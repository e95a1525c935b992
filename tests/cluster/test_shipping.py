"""Whole deployments on workers: what goes there, and what comes back into the stage cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from snapq import api
from snapq.pipeline.fill import fill_there, travelling
from snapq.pipeline.localize import localize
from snapq.pipeline.shipping import modules, reads
from snapq.stages.artifact import RECORD, Artifact
from snapq.storage import fingerprint, write_json
from tests.cluster.test_cluster import QUICK
from tests.pipeline.conftest import make_project

pytestmark = pytest.mark.npu


def test_a_deployment_reads_its_model_its_data_and_nothing_else(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    (project / "pictures" / ".hidden").write_text("x")
    (project / ".env").write_text("SECRET=1")
    names = {str(path.relative_to(project)) for path in reads(api.load(project / "deploy.yaml"))}
    pictures = {f"pictures/{index}.png" for index in range(8)}
    assert names == {"tiny.onnx", "labels.csv", *pictures}


def test_passwords_of_boards_and_secret_variables_do_not_travel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_project(tmp_path) / "deploy.yaml"
    monkeypatch.setenv("BOARD_PASSWORD", "hunter22")
    target = "benchmark.target=ssh://${BOARD_PASSWORD}@board"
    text = travelling(api.load(path, [target]))
    assert text is not None
    assert "hunter22" not in text
    assert "benchmark" not in json.loads(text)
    named = api.load(path, ["name=${BOARD_PASSWORD}"])
    assert travelling(named) is None
    said: list[str] = []
    options = {"random_inputs": False, "fresh": False}
    nobody: Any = None  # it is not asked
    assert fill_there(nobody, named, tmp_path / "cache", said.append, **options) is None
    assert said == ["it has the value of a secret, and secrets do not travel."]


def test_functions_of_the_user_travel_with_what_they_import(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    (project / "mine.py").write_text("import helping\n\ndef score():\n    ...\n")
    (project / "helping.py").write_text("")
    (project / "other.py").write_text("")
    config = api.load(project / "deploy.yaml", ["metric=mine:score"])
    assert {path.name: place for path, place in modules(config)} == {
        "mine.py": str(project),
        "helping.py": str(project),
    }


def test_what_was_made_below_another_root_is_as_if_made_here(tmp_path: Path) -> None:
    root, folder = str(tmp_path / "root"), tmp_path / "stages" / "key"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"model")
    (folder / "bundle.json").write_text(json.dumps({"data": f"{root}/home/me/data"}))
    Artifact.write(
        folder,
        stage="package",
        precision="w8a8",
        seconds=1.0,
        notes=(f"8 samples of {root}/home/me/data",),
        details={},
    )
    value = tmp_path / "value.json"
    kept = [f"{root}/home/me/data"]
    write_json(value, {"sha256": fingerprint(kept), "value": kept})
    assert {path.name for path in localize(folder, root)} == {"model.onnx", "bundle.json", RECORD}
    assert localize(value, root) == [value]
    assert Artifact.read(folder).record.notes == ("8 samples of /home/me/data",)
    assert json.loads((folder / "bundle.json").read_text()) == {"data": "/home/me/data"}
    found = json.loads(value.read_text())
    assert found == {"sha256": fingerprint(["/home/me/data"]), "value": ["/home/me/data"]}


@pytest.mark.slow
def test_a_sweep_on_a_cluster_keeps_what_runs_here_would_make(
    scheduler: str, tmp_path: Path
) -> None:
    (tmp_path / "project").mkdir()
    path = make_project(tmp_path / "project") / "deploy.yaml"
    options = ["devices=[qcs9075]", *QUICK]
    sweep = "per_channel=true,false"
    done = api.sweep(path, sweep, options, runs=tmp_path / "there", cluster=scheduler)
    config = api.load(path, [*options, "stages.quantize.per_channel=false"])
    again = api.run(config, runs=tmp_path / "there")
    here = api.run(config, runs=tmp_path / "here")
    assert done.passed
    assert all(stage.cached for stage in again.record.stages)
    for stage, other in zip(again.record.stages, here.record.stages, strict=True):
        assert stage.model == other.model
    assert again.record.bundle_files == here.record.bundle_files
    assert again.record.accuracy == here.record.accuracy
