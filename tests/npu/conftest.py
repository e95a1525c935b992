from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from snapq.devices.profiles import DeviceProfile, find
from tests.npu.qnn import models


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def float_cnn(folder: Path) -> Path:
    onnx.save(models.cnn(), str(folder / "cnn.onnx"))
    return folder / "cnn.onnx"


@pytest.fixture(scope="session")
def w8a8_cnn(float_cnn: Path) -> Path:
    return models.quantized(float_cnn, float_cnn.with_name("cnn_w8a8.onnx"))


@pytest.fixture(scope="session")
def mixed_cnn(folder: Path) -> Path:
    """Float, with one node in its middle that the NPU does not have."""
    onnx.save(models.cnn(middle=models.unsupported()), str(folder / "mixed.onnx"))
    return folder / "mixed.onnx"


@pytest.fixture(scope="session")
def mixed_w8a8_cnn(mixed_cnn: Path) -> Path:
    return models.quantized(mixed_cnn, mixed_cnn.with_name("mixed_w8a8.onnx"))


@pytest.fixture(scope="session")
def sm8650() -> DeviceProfile:
    return find("sm8650")


@pytest.fixture(scope="session")
def qcs9075() -> DeviceProfile:
    return find("qcs9075")
