from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

import snapq.classical.program as shipped
from snapq.bundle.write import write_arrays
from snapq.classical.model import ClassicalModel
from snapq.classical.program import Program, Step
from tests.classical import exports

Model = tuple[str, Callable[[], onnx.ModelProto]]
AXIS = exports.SEVERAL["AdaBoost of numbers"]
"""Has a number without axes among its constants."""
FOLDER = Path(shipped.__file__).parent


def test_the_folder_is_imported_without_snapq(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "snapq_program")
    code = "import sys, snapq_program; assert 'snapq' not in sys.modules; print('alone')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env={}
    )
    assert done.stdout.strip() == "alone", done.stderr


def test_a_step_of_a_newer_version_is_named() -> None:
    program = Program(("x",), ("y",), (Step("from the future", ("x",), ("y",)),))
    with pytest.raises(ValueError, match="'from the future' is not known"):
        program.run({"x": np.zeros(1)})


@pytest.mark.parametrize("model", [exports.TREES["forest with text"], AXIS], ids=["text", "axis"])
def test_a_program_is_the_same_after_it_was_written_down(model: Model, tmp_path: Path) -> None:
    read = ClassicalModel.read(model[1]())
    program = read.program()
    written, arrays = program.to_json()
    write_arrays(tmp_path / "arrays.npz", arrays)  # as a bundle's are
    with np.load(tmp_path / "arrays.npz") as kept:
        again = Program.from_json(json.loads(json.dumps(written)), kept)
        kept_shapes = {name: kept[name].shape for name in kept.files}
    for name, array in arrays.items():
        assert kept_shapes[name] == array.shape
    rows = {read.inputs[0].name: exports.data(model[0])[0]}
    for name, expected in program.run(rows).items():
        np.testing.assert_array_equal(again.run(rows)[name], expected)


def test_the_folder_is_valid_python_3_9() -> None:
    files = list(FOLDER.rglob("*.py"))
    assert len(files) > 5
    for path in files:
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
