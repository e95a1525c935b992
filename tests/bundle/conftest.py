"""The bundle that most tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapq.stages.package.build import Built
from tests.bundle.bundles import make


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, Path]:
    """A w8a8 bundle for qcs9075 (v73) and qcs6490 (v68), and its folder."""
    folder = tmp_path_factory.mktemp("bundle")
    built = make(folder, devices=("qcs6490", "qcs9075"))
    return built, folder / "bundle"
