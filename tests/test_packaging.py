"""An installed wheel has everything that the source tree has at run time."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_wheel_has_every_file_of_the_package(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    paths = [path for path in (ROOT / "snapq").rglob("*") if path.is_file()]
    files = {path.relative_to(ROOT).as_posix() for path in paths}
    assert {file for file in files if not re.search(r"/(\.|__pycache__)", file)} <= packed
    assert {
        "snapq/py.typed",
        "snapq/constraints.txt",
        "device_profiles/sm8650.yaml",
    } <= packed
