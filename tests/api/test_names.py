"""The public names stay functions, whatever else of the package was imported before."""

from __future__ import annotations

import subprocess
import sys

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


def test_no_submodule_takes_the_place_of_a_public_function() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
