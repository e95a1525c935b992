"""`validate` reads every sample, so that none fails hours later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import snapq
from snapq.errors import DataError
from tests.cli.test_bad_input import invoke


def last_picture_is_cut_off(project: Path) -> str:
    picture = project / "pictures" / "7.png"
    picture.write_bytes(picture.read_bytes()[:-400])
    return "images: pictures"


def last_array_holds_nan(project: Path) -> str:
    array = np.zeros((5, 3, 32, 32), np.float32)
    array[4, 0, 0, 0] = np.nan
    np.save(project / "samples.npy", array)
    return "arrays: samples.npy"


def last_sample_of_a_function_has_another_shape(project: Path) -> str:
    (project / "steps.py").write_text(
        "import numpy as np\n\n\ndef samples():\n    for size in (32, 32, 31):\n"
        "        yield {'image': np.zeros((1, 3, 32, size), np.float32)}\n"
    )
    return "python: 'steps:samples'"


@pytest.mark.parametrize(
    ("broken", "where"),
    [
        (last_picture_is_cut_off, "7.png"),
        (last_array_holds_nan, r"samples.npy\[4\]"),
        (last_sample_of_a_function_has_another_shape, r"\[2\]"),
    ],
)
@pytest.mark.parametrize("kind", ["calibration", "training", "evaluation"])
def test_the_last_sample_is_read_too(
    broken: Callable[[Path], str],
    where: str,
    kind: str,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(project)
    fine = "{arrays: fine.npy}"
    np.save(project / "fine.npy", np.zeros((2, 3, 32, 32), np.float32))
    data = {"calibration": fine, kind: f"{{{broken(project)}}}"}
    stages = "[{finetune: {}}]" if kind == "training" else "[{quantize: {}}]"
    settings = ["metric=null", "gates={}", f"stages={stages}"]
    settings.append("data={" + ", ".join(f"{name}: {text}" for name, text in data.items()) + "}")
    config = snapq.load(project / "deploy.yaml", settings)
    with pytest.raises(DataError, match=where):
        snapq.validate(config)


def test_the_command_says_how_many_samples_it_read(project: Path) -> None:
    code, output = invoke("validate", str(project / "deploy.yaml"))
    found = " ".join(output.split())
    told = "8 images of pictures for calibration and 8 images of pictures for evaluation"
    assert (code, told in found) == (0, True)
