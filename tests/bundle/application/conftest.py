"""A bundle of a small network, and ONNX Runtime's API for C++ and Java."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from snapq.stages.package.build import Built
from tests import assets
from tests.bundle.bundles import make


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A w8a8 bundle for qcs9075 that nobody changes."""
    folder = tmp_path_factory.mktemp("application")
    built: Built = make(folder)
    assert built.devices
    return folder / "bundle"


@pytest.fixture(scope="session")
def api() -> Path:
    """Folder of ONNX Runtime's headers and `classes.jar`."""
    try:
        return assets.onnxruntime_api()
    except assets.UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the wheel's `libonnxruntime.so`, under the names that a linker looks for."""
    spec = importlib.util.find_spec("onnxruntime")
    assert spec is not None
    assert spec.origin is not None
    found = sorted((Path(spec.origin).parent / "capi").glob("libonnxruntime.so.*"))
    if not found:
        pytest.skip("this wheel of onnxruntime has no library of its own")
    folder = tmp_path_factory.mktemp("library")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / name).symlink_to(found[0])
    return folder
