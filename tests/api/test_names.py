"""The public names stay functions, whatever was imported before, and former names still work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import snapq
from snapq.errors import ConfigError, ModelError, RenamedWarning

IMPORT_ALL = """
import importlib, pkgutil, sys
import snapq
from snapq import api

for module in pkgutil.walk_packages(snapq.__path__, "snapq."):
    if not module.name.endswith("__main__") and ".onboard" not in module.name:
        importlib.import_module(module.name)
wrong = [f"{p.__name__}.{name}" for p in (snapq, api) for name in p.__all__
         if type(getattr(p, name)).__name__ == "module"]
print(*wrong)
"""


@pytest.mark.slow
def test_no_submodule_takes_the_place_of_a_public_function() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_devices_are_taken_by_their_former_name(tmp_path: Path) -> None:
    ghost = tmp_path / "ghost.onnx"
    device = pytest.warns(RenamedWarning, match="`target` is called `device` now")
    with device, pytest.raises(ModelError):
        snapq.inspect(ghost, target="sm8650")
    devices = pytest.warns(RenamedWarning, match="`targets` is called `devices` now")
    with devices, pytest.raises(ModelError):
        snapq.quantize(ghost, random_inputs=True, targets=["sm8650"])
    with pytest.raises(ConfigError, match="Give `device` alone"):
        snapq.inspect(ghost, "sm8650", target="sm8650")
