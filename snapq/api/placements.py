"""Where the nodes of a model run, and why some stay off the NPU."""

from __future__ import annotations

from dataclasses import dataclass


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
