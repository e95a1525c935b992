"""A bundle of a small network."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapq.stages.package.build import Built
from tests.bundle.bundles import make


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A w8a8 bundle for qcs9075 (v73) and qcs6490 (v68) that nobody changes."""
    folder = tmp_path_factory.mktemp("application")
    built: Built = make(folder, devices=("qcs9075", "qcs6490"))
    assert built.devices
    return folder / "bundle"
