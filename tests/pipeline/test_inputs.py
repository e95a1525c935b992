"""What is refused before the first stage of a run."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from snapq import api
from snapq.errors import ConfigError, RenamedWarning
from snapq.pipeline.inputs import command_line


def check(project: Path, old: str, new: str) -> None:
    path = project / "deploy.yaml"
    path.write_text(path.read_text().replace(old, new))
    api.check(api.load(path))


def test_a_pass_that_does_not_exist_is_refused(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"no pass 'fuse_geluu'.*'fuse_gelu'"):
        check(project, "stages:", "stages:\n  - prepare: {skip: [fuse_geluu]}")


def test_an_algorithm_that_does_not_exist_is_refused(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"no algorithm 'adaraund'.*'adaround'"):
        check(project, "quantize: {}", "quantize: {algorithms: [adaraund]}")


def test_a_pass_by_its_former_name_is_skipped_with_a_note(project: Path) -> None:
    with pytest.warns(RenamedWarning, match="`whole_base` is called `broadcast_pow_base`"):
        check(project, "stages:", "stages:\n  - prepare: {skip: [whole_base]}")


def test_labels_that_do_not_fit_the_model_are_refused_before_the_run(project: Path) -> None:
    (project / "labels.txt").write_text("one\ntwo\n")
    with pytest.raises(ConfigError, match="2 lines, and the model gives"):
        check(project, "{golden_samples: 2}", "{labels: labels.txt}")


@pytest.mark.parametrize(
    ("started", "said"),
    [("/lib/snapq/__main__.py", "snapq"), ("/bin/snapq", "snapq"), ("make.py", "make.py")],
)
def test_the_command_that_runs_it_again_is_one_that_can_be_typed(
    started: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [started, "run", "deploy.yaml"])
    assert command_line() == (said, "run", "deploy.yaml")


def test_weights_in_a_small_file_beside_the_model_are_part_of_what_a_run_rests_on(
    project: Path,
) -> None:
    path = project / "tiny.onnx"
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="tiny.data", size_threshold=0)
    before = api.check(api.load(project / "deploy.yaml")).source_sha256
    written = path.read_bytes()
    weights = np.frombuffer((project / "tiny.data").read_bytes(), np.float32) * np.float32(1.5)
    (project / "tiny.data").write_bytes(weights.tobytes())
    assert path.read_bytes() == written
    assert api.check(api.load(project / "deploy.yaml")).source_sha256 != before
