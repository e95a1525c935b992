from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snapq.benchmarking.targets.base import Candidate
from snapq.benchmarking.targets.local import LocalTarget
from snapq.benchmarking.targets.resolve import resolve_target
from snapq.benchmarking.targets.simulator import SimulatorTarget
from snapq.config import BenchmarkConfig
from snapq.devices.profiles import find
from snapq.errors import ConfigError
from snapq.records import Where


def test_a_target_is_found_by_its_name() -> None:
    assert isinstance(resolve_target("local"), LocalTarget)
    assert isinstance(resolve_target("htp-sim", find("sm8650")), SimulatorTarget)


def test_an_unknown_target_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean local\? There are local .*htp-sim"):
        resolve_target("locl")


def test_the_simulator_has_no_device_of_its_own_choice() -> None:
    with pytest.raises(ConfigError, match="needs a device"):
        resolve_target("htp-sim")


def test_the_simulator_refuses_to_time(bytes_model: Path) -> None:
    target = resolve_target("htp-sim", find("sm8650"))
    with pytest.raises(ConfigError, match="not how long it takes"):
        target.measure([Candidate("w8a8", bytes_model, {})], BenchmarkConfig())


def test_the_simulator_agrees_with_the_cpu_to_a_few_steps(
    bytes_model: Path, bytes_feeds: dict[str, np.ndarray]
) -> None:
    target = resolve_target("htp-sim", find("sm8650"))
    (simulated,) = target.run(bytes_model, [bytes_feeds])
    (expected,) = LocalTarget().run(bytes_model, [bytes_feeds])
    assert target.where is Where.SIMULATED
    np.testing.assert_allclose(simulated["y"], expected["y"], atol=3 * 0.02)
