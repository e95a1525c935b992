"""A small draw of each kind of broken input; `python -m benchmarks.robustness all` is the whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMAND = (sys.executable, "-m", "benchmarks.robustness")
KINDS = sorted(path.stem for path in (ROOT / "benchmarks/robustness/kinds").glob("[a-z]*.py"))
COUNTS = {"models": 16, "bundles": 4, "environments": 3, "boards": 2, "kills": 1, "cache": 1}
FEW = 8


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_broken_input_ends_in_one_clear_sentence(kind: str) -> None:
    done = subprocess.run(
        [*COMMAND, kind, "--count", str(COUNTS.get(kind, FEW)), "--seed", "tests"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "faults: 0 cases" in done.stdout
