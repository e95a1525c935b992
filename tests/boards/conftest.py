"""A server that stands for the board."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from snapq.benchmarking.run import float_feeds
from snapq.benchmarking.targets.base import Candidate, Measurement
from snapq.benchmarking.targets.board import BoardTarget
from snapq.bundle.read import Bundle
from snapq.stages.package.build import Built
from tests.boards import boards, sshd
from tests.bundle.bundles import make


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    """An SSH server of which all tests of the session are guests."""
    if sshd.PROGRAM is None:
        pytest.skip("there is no sshd; scripts/install_test_packages.sh installs it")
    with sshd.running(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, Path]:
    """A w8a8 bundle of a small network, and its folder."""
    folder = tmp_path_factory.mktemp("bundle")
    return make(folder), folder


@pytest.fixture(scope="session")
def candidates(bundle: tuple[Built, Path]) -> list[Candidate]:
    folder = bundle[1]
    opened = Bundle.open(folder / "bundle")
    feeds = next(opened.golden_feeds())
    floats = float_feeds(opened.manifest, feeds)
    return [
        Candidate("float32", folder / "source.onnx", floats),
        Candidate("w8a8", opened.model, feeds, opened.path),
    ]


@pytest.fixture(scope="session")
def shares() -> list[float]:
    """What was told of the progress of `measured`."""
    return []


@pytest.fixture(scope="session")
def measured(server: sshd.Sshd, candidates: list[Candidate], shares: list[float]) -> Measurement:
    target = BoardTarget(boards.board(server))
    return target.measure(candidates, boards.QUICK, shares.append)


@pytest.fixture(scope="session")
def package(bundle: tuple[Built, Path]) -> list[Candidate]:
    """The bundle alone, as what faults are tried on."""
    opened = Bundle.open(bundle[1] / "bundle")
    return [Candidate("w8a8", opened.model, next(opened.golden_feeds()), opened.path)]
