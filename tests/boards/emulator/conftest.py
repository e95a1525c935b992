"""One emulated board for all tests of a process; its image is kept between runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from snapq.boards.emulator import lifecycle
from snapq.boards.emulator.lifecycle import EmulatedBoard, Options
from snapq.boards.emulator.npu_state import NpuState
from snapq.errors import InstallError
from snapq.home import CACHE_VARIABLE
from snapq.progress import Silent
from tests import assets
from tests.boards.emulator import small_model as model

OPTIONS = Options(soc="sm8650", npu=NpuState.NO_ANSWER, adb=True)


@pytest.fixture(scope="session")
def emulator_cache() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(assets.cache() / "snapq"))
        yield


@pytest.fixture(scope="session")
def board(emulator_cache: None) -> Iterator[EmulatedBoard]:
    name = f"test-{os.getpid()}"
    try:
        board = lifecycle.start(name, OPTIONS, Silent(), attached=True)
    except InstallError as error:
        pytest.skip(f"no emulated board: {error}")
    yield board
    lifecycle.stop(name)


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    model.write(path)
    return path
