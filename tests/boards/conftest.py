"""A server that stands for the board."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.boards import sshd


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    """An SSH server of which all tests of the session are guests."""
    if sshd.PROGRAM is None:
        pytest.skip("there is no sshd; scripts/install_test_packages.sh installs it")
    with sshd.running(tmp_path_factory.mktemp("sshd")) as running:
        yield running
