"""The environment that networks are built in: PyTorch and the packages with the networks."""

from __future__ import annotations

import os
import subprocess
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
WITHOUT_DEPENDENCIES = ("qai-hub-models==0.65.0", "torchreid==0.2.5")
"""Of which single files are read."""
MADE_FROM = "made-from.txt"


def python() -> Path:
    """The interpreter of the environment, which is made where it is missing or of other versions.

    It lies in ~/.cache/snapq-zoo or $SNAPQ_ZOO, and takes about 3 GB.
    """
    folder = Path(os.environ.get("SNAPQ_ZOO") or Path.home() / ".cache" / "snapq-zoo")
    stamp, interpreter = folder / MADE_FROM, folder / "bin" / "python"
    asked = REQUIREMENTS.read_text()
    if stamp.is_file() and stamp.read_text() == asked:
        return interpreter
    venv.create(folder, with_pip=True, clear=True)
    install = [str(interpreter), "-m", "pip", "install", "--quiet"]
    only_cpu = ["--extra-index-url", "https://download.pytorch.org/whl/cpu"]
    subprocess.run([*install, *only_cpu, "-r", str(REQUIREMENTS)], check=True)
    subprocess.run([*install, "--no-deps", *WITHOUT_DEPENDENCIES], check=True)
    stamp.write_text(asked)
    return interpreter
