"""The observer of what came without an encoding: 16 bits have codes to spare."""

from __future__ import annotations

from dataclasses import dataclass

from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.calibration.observers.minmax import MinMax
from snapq.quantization.encodings import QuantType

__all__ = ["SpareRange"]

_ROOM = 1.5
"""What the tool that made the model left in float does not saturate on any sample; 16 bits over a
range that is so much wider are 3.5 dB worse, of some 90."""


@dataclass(frozen=True)
class SpareRange(MinMax):
    """Min-max, and at more than 8 bits half as much again for what the samples do not show."""

    def range(self, seen: Collector, dtype: QuantType) -> tuple[float, float]:
        """Wider than what was seen, where the type has codes to spare."""
        low, high = super().range(seen, dtype)
        return (low, high) if dtype.bits <= 8 else (low * _ROOM, high * _ROOM)
