"""The quantize stage: what it asks of the engine, who scores candidates, mixed precision."""

from snapq.stages.quantize.stage import reads, run

__all__ = ["reads", "run"]
