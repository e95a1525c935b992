from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import snapq.classical.program as shipped
from snapq.classical.program import Program, Step

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
