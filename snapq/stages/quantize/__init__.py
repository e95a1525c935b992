"""The quantize stage: what it asks of the engine, who scores candidates, mixed precision."""

from snapq.stages.quantize.stage import run

__all__ = ["run"]
