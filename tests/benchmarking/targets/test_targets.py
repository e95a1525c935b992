from __future__ import annotations

import pytest

from snapq.benchmarking.targets.local import LocalTarget
from snapq.benchmarking.targets.resolve import resolve_target
from snapq.errors import ConfigError


def test_a_target_is_found_by_its_name() -> None:
    assert isinstance(resolve_target("local"), LocalTarget)


def test_an_unknown_target_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean local\? There are local .*ssh://"):
        resolve_target("locl")


def test_the_simulator_is_no_target() -> None:
    with pytest.raises(ConfigError, match="not how long it takes"):
        resolve_target("htp-sim")
