"""The target `htp-sim`: Qualcomm's simulator of the NPU. It gives values and never times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from snapq.benchmarking.targets.base import (
    Candidate,
    Feeds,
    Progress,
)
from snapq.config import BenchmarkConfig
from snapq.devices.profiles import DeviceProfile
from snapq.errors import ConfigError
from snapq.records import Where


@dataclass(frozen=True)
class SimulatorTarget:
    """The NPU of one device, simulated on this machine."""

    device: DeviceProfile
    name: str = "htp-sim"
    where: Where = Where.SIMULATED

    def check(self, protocol: BenchmarkConfig) -> NoReturn:
        """Refuses: the simulator cannot time. Raises `ConfigError`."""
        self.measure((), protocol)

    def run(self, model: Path, feeds: Iterable[Feeds]) -> Iterator[dict[str, np.ndarray]]:
        """Yields the outputs for each of `feeds`. Raises `SnapqError`."""
        from snapq.npu.qnn.simulate import simulate

        return simulate(model, self.device, feeds)

    def measure(
        self,
        candidates: Sequence[Candidate],  # noqa: ARG002
        protocol: BenchmarkConfig,  # noqa: ARG002
        progress: Progress | None = None,  # noqa: ARG002
    ) -> NoReturn:
        """Refuses: the time that the simulator takes says nothing about the NPU.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            "The simulator computes what the NPU computes, but not how long it takes.",
            where=f"target {self.name}",
            hint="Use target local for this machine's CPU, or `snapq estimate` for the NPU.",
        )
