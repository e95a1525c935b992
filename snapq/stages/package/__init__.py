"""The package stage: compile for each device, golden data, the bundle."""

from snapq.stages.package.stage import reads, run

__all__ = ["reads", "run"]
