"""What else this machine did while a benchmark ran on it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

_OTHERS = 0.1
_STOLEN = 0.02
_SLOWER = 0.9


@dataclass(frozen=True)
class Reading:
    """The machine's counters at one moment."""

    at_s: float
    busy_s: float
    """Processor time since boot of all processes together."""
    stolen_s: float
    """Processor time since boot that the hypervisor gave to other machines."""
    own_s: float
    """Processor time of this process."""
    clock_mhz: float | None


def read() -> Reading:
    """Reads the counters now."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    stolen = getattr(times, "steal", 0.0)
    # Linux counts guest time in user time as well.
    guest = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    clock = None
    with contextlib.suppress(Exception):  # many virtual machines have no clock to read
        clock = psutil.cpu_freq().current or None
    return Reading(
        at_s=time.monotonic(),
        busy_s=sum(times) - guest - idle - stolen,
        stolen_s=stolen,
        own_s=time.process_time(),
        clock_mhz=clock,
    )


def disturbances(before: Reading, after: Reading, children_s: float) -> Iterator[str]:
    """Sentences about what disturbed the machine between two readings.

    Args:
        before: the reading before the benchmark.
        after: the reading after it.
        children_s: processor time of the benchmark's own child processes.
    """
    elapsed = max(after.at_s - before.at_s, 1e-9)
    own = after.own_s - before.own_s + children_s
    others = (after.busy_s - before.busy_s - own) / elapsed
    if others > _OTHERS:
        cores = psutil.cpu_count() or 1
        yield f"Other programs kept {others:.1f} of {cores} processors busy."
    stolen = (after.stolen_s - before.stolen_s) / elapsed
    if stolen > _STOLEN:
        yield f"The hypervisor took {stolen:.0%} of a processor away."
    if before.clock_mhz and after.clock_mhz and after.clock_mhz < _SLOWER * before.clock_mhz:
        yield (
            f"The processor's clock fell from {before.clock_mhz:.0f} to {after.clock_mhz:.0f} MHz."
        )
