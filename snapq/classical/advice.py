"""Whether a classical model belongs on the NPU: the CPU's own time beside that of the NPU's way.

The CPU answers a few rows of a forest in microseconds, and a call to the NPU alone takes a quarter
of a millisecond: what matters is how many rows come at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["CALL_US", "WORTH", "Advice", "fastest_cpu", "fastest_us"]

CALL_US = 250.0
"""What a call of ONNX Runtime to the NPU takes beside the accelerator's own time: 200 to 300 us."""
WORTH = 1.5
"""Gain from which the NPU is worth it: the estimate's bounds are 15 % to each side."""
_LONGEST_S = 0.5
_RUNS = 200
_CLOSE = 1.1
"""Times that differ by less are the same."""


@dataclass(frozen=True)
class Advice:
    """Where to run a model at one number of rows.

    Attributes:
        rows: at once.
        cpu_us: the CPU's time for them.
        npu_us: the accelerator's.
        host_us: head and tail on the CPU.
        cpu_model: the file of the bundle that is that fast, if it is not the model as given.
        wins_from: the fewest rows at once for which the NPU is worth it; None where that is not
            known, or where no number that was asked about is enough.
        place: where the CPU, head and tail were measured.
    """

    rows: int
    cpu_us: float
    npu_us: float
    host_us: float
    cpu_model: str = ""
    wins_from: int | None = None
    place: str = "here"

    @property
    def total_us(self) -> float:
        """The NPU's way: accelerator, call, head and tail."""
        return self.npu_us + CALL_US + self.host_us

    @property
    def gain(self) -> float:
        """The CPU's time over that of the NPU's way."""
        return self.cpu_us / self.total_us

    @property
    def npu(self) -> bool:
        """Whether the NPU is worth it."""
        return self.gain >= WORTH

    @property
    def sentence(self) -> str:
        """The advice in words."""
        way = (
            f"the NPU takes {self.npu_us:,.0f} us (estimated) + {CALL_US:,.0f} us for the call + "
            f"{self.host_us:,.0f} us for head and tail (measured {self.place}), the CPU "
            f"{self.cpu_us:,.0f} us ({self._how}measured {self.place})"
        )
        many = f"{self.rows:,} row{'s' if self.rows != 1 else ''}"
        if self.npu:
            return f"At {many} the NPU is {self.gain:.1f} times faster: {way}."
        if self.cpu_us <= CALL_US:
            return (
                f"Leave it on the CPU at {many}: a call to the NPU alone takes longer than the "
                f"whole model; {way}.{self._more or ' More rows at once are what the NPU is for.'}"
            )
        gained = f"gains only {self.gain:.1f} times" if self.gain > 1 else "gains nothing"
        return f"Leave it on the CPU at {many}: the NPU {gained}; {way}.{self._more}"

    @property
    def _more(self) -> str:
        if self.wins_from is None:
            return ""
        return f" From about {self.wins_from:,} rows at once on the NPU wins."

    @property
    def _how(self) -> str:
        return f"by {self.cpu_model}, " if self.cpu_model else ""


def fastest_cpu(models: Mapping[str, Callable[[], object]]) -> tuple[float, str]:
    """The time of the fastest model in microseconds, and its name. Earlier ones win close races."""
    times = {name: fastest_us(work) for name, work in models.items()}
    best = min(times.values())
    name = next(name for name, taken in times.items() if taken <= best * _CLOSE)
    return times[name], name


def fastest_us(work: Callable[[], object]) -> float:
    """The fastest of many runs, in microseconds: what others do on the machine only slows it."""
    work()
    best, started = float("inf"), time.perf_counter()
    for _ in range(_RUNS):
        before = time.perf_counter()
        work()
        after = time.perf_counter()
        best = min(best, after - before)
        if after - started > _LONGEST_S:
            break
    return best * 1e6
