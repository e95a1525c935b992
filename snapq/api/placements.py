"""Where the nodes of a model run, and why some stay off the NPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from snapq.errors import ModelError
from snapq.limits import TIME_VARIABLE


@dataclass(frozen=True)
class OffNpu:
    """A node that stays off the NPU."""

    name: str
    op_type: str
    reason: str
    hint: str | None = None


@dataclass(frozen=True)
class PrecisionPlacement:
    """Where the nodes run at one precision."""

    precision: str
    npu: int
    cpu: int
    partitions: int
    cpu_nodes: tuple[OffNpu, ...] = ()
    remark: str | None = None


@dataclass
class AskingTime:
    """Processor time in which the compiler may be asked about one model, at all precisions.

    A file of two kilobytes can make thousands of nodes, and what the compiler takes to place nodes
    grows with the square of their number.

    Attributes:
        left: seconds.
    """

    left: float

    def require(self) -> None:
        """Raises `ModelError` where nothing is left."""
        if self.left < 1:
            raise ModelError(
                "Not asked: the model takes too much processor time.",
                hint=f"Where it is sound, raise the limit: {TIME_VARIABLE}=3600",
            )

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Takes what the block uses, with the processes that it waits for, off what is left."""
        before = sum(os.times()[:4])
        try:
            yield
        finally:
            self.left -= sum(os.times()[:4]) - before
