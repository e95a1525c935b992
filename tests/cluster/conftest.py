"""A scheduler and two workers of dask.distributed, as they stand on other machines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from snapq.cluster.current import connected
from snapq.cluster.local import local_workers
from snapq.stages.artifact import computing
from tests.npu.qnn import models


@pytest.fixture(scope="session")
def scheduler() -> Iterator[str]:
    """The address of a scheduler with two workers, one task at once each."""
    with local_workers(2) as address:
        yield f"dask://{address.removeprefix('tcp://')}"


@pytest.fixture
def told() -> list[str]:
    """What the user was told."""
    return []


@pytest.fixture
def cluster(scheduler: str, told: list[str]) -> Iterator[object]:
    """A connection of this test alone."""
    with connected(scheduler, computing, told.append) as found:
        yield found


@pytest.fixture(scope="session")
def w8a8_cnn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Q/DQ model."""
    folder = tmp_path_factory.mktemp("models")
    onnx.save(models.cnn(), str(folder / "cnn.onnx"))
    return models.quantized(folder / "cnn.onnx", folder / "cnn_w8a8.onnx")
