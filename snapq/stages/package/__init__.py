"""The package stage: compile for each device, golden data, the bundle."""

from snapq.stages.package.stage import run

__all__ = ["run"]
