"""From how many rows at once trees are faster on the NPU than on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from snapq.classical.estimator import Estimator
from snapq.classical.trees import candidates, large
from snapq.classical.trees.candidates import Estimated
from snapq.classical.trees.digits import EXACT_BITS
from snapq.classical.trees.forest import Forest, gather
from snapq.classical.trees.lower import encodings_of
from snapq.classical.trees.plan import Plan
from snapq.devices.profiles import DeviceProfile
from snapq.errors import SnapqError
from snapq.npu import model as npu

ROWS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
"""Numbers of rows that are asked about: below 16 no CPU takes as long as a call to the NPU."""


@dataclass
class OnDevice:
    """What trees take on a device at any number of rows, without the call itself.

    Each number of rows takes two compilations, of the shape that is mostly the best; of a large
    forest only a share is compiled.

    Args:
        estimators: with an `Ensemble` each.
        device: the device.
        form: as `lower` takes it.
        memory: what is known of estimates.
    """

    estimators: Sequence[Estimator]
    device: DeviceProfile
    form: str = "auto"
    memory: npu.Memory = field(default_factory=npu.Memory)

    def __post_init__(self) -> None:
        self._forest: Forest = gather(self.estimators)
        self._encodings = encodings_of(self._forest, self.form)

    def at(self, rows: int) -> Estimated:
        """The fastest of the encodings at so many rows a call. Raises as `lower`."""
        return large.expected(
            self._forest,
            self._encodings,
            lambda trees, encoding, shape: Plan(trees, encoding, shape, rows, EXACT_BITS),
            lambda plan: candidates.estimate(plan, [self.device], self.memory),
        )


def rows_to_win(
    on_device: OnDevice,
    cpu_us: Callable[[int], float],
    *,
    call_us: float,
    worth: float,
    beyond: int = 0,
    least_us: float = 0.0,
) -> int | None:
    """The fewest rows at once for which the NPU is worth it; None where none of `ROWS` is.

    Args:
        on_device: the trees and the device.
        cpu_us: measures what the CPU takes for so many rows, microseconds.
        call_us: what a call to the NPU takes beside the accelerator's own time.
        worth: the CPU's time must be so many times that of the NPU's way.
        beyond: that so many rows are too few is known.
        least_us: accelerator and host take at least so long.
    """
    for rows in (rows for rows in ROWS if rows > beyond):
        taken = cpu_us(rows)
        if taken < worth * (call_us + least_us):
            continue  # no compilation need tell
        try:
            found = on_device.at(rows)
        except SnapqError as error:
            if error.transient:
                raise
            return None
        if taken >= worth * (call_us + found.us):
            return rows
    return None
