"""Real models and pictures as fixtures of the whole session; see tests/assets.py."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings

from tests import assets

T = TypeVar("T")

TESTS = Path(__file__).parent
MARKS_BY_FOLDER = {"boards": pytest.mark.board, "npu": pytest.mark.npu}
"""What all tests of a folder need; modules elsewhere say it themselves (`pytestmark`)."""

# Machines that run tests are busy: how long an example takes says nothing.
settings.register_profile(
    "snapq",
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("snapq")

# A shell that starts the tests in the background ignores Ctrl-C for all of its children, and
# tests that press it would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of a folder, and those for which a bundle is compiled."""
    for item in items:
        mark = MARKS_BY_FOLDER.get(item.path.relative_to(TESTS).parts[0])
        if mark is not None:
            item.add_marker(mark)
        if "bundle" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.npu)


@pytest.fixture(autouse=True, scope="session")
def _own_history(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Benchmarks of the tests stay out of the history of whoever runs them."""
    os.environ["SNAPQ_HISTORY"] = str(tmp_path_factory.mktemp("history") / "history.sqlite")


def _or_skip(get: Callable[[], T]) -> T:
    try:
        return get()
    except assets.UnavailableError as error:
        pytest.skip(f"{get.__name__} cannot be had: {error}")


@pytest.fixture(scope="session")
def efficientnet_lite0() -> Path:
    return _or_skip(assets.efficientnet_lite0)


@pytest.fixture(scope="session")
def efficientnet_lite0_batch_norm() -> Path:
    return _or_skip(assets.efficientnet_lite0_batch_norm)


@pytest.fixture(scope="session")
def labelled_images() -> tuple[Path, Path]:
    return _or_skip(assets.labelled_images)


@pytest.fixture(scope="session")
def photographs() -> Path:
    return _or_skip(assets.photographs)


@pytest.fixture(scope="session")
def centerface() -> Path:
    return _or_skip(assets.centerface)


@pytest.fixture(scope="session")
def ppocr_rec() -> Path:
    return _or_skip(assets.ppocr_rec)


@pytest.fixture(scope="session")
def ppocr_det() -> Path:
    return _or_skip(assets.ppocr_det)


@pytest.fixture(scope="session")
def ppocr_cls() -> Path:
    return _or_skip(assets.ppocr_cls)


@pytest.fixture(scope="session")
def speech() -> tuple[Path, Path]:
    return _or_skip(assets.speech)


@pytest.fixture(scope="session")
def silero_vad() -> Path:
    return _or_skip(assets.silero_vad)


@pytest.fixture(scope="session")
def silero_vad_lstm() -> Path:
    return _or_skip(assets.silero_vad_lstm)
