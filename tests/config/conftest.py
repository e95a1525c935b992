"""A valid deploy.yaml to vary, and a way to load a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from snapq.config import DeployConfig
from snapq.config.reading import load

VALID = (Path(__file__).parent / "valid.yaml").read_text(encoding="utf-8")
"""Every mistake of test_errors.py is one replacement in this text."""

Load = Callable[..., DeployConfig]


@pytest.fixture
def load_text(tmp_path: Path) -> Load:
    """Writes a text as deploy.yaml and loads it."""

    def write_and_load(text: str, overrides: Sequence[str] = ()) -> DeployConfig:
        path = tmp_path / "deploy.yaml"
        path.write_text(text, encoding="utf-8")
        return load(path, overrides)

    return write_and_load
