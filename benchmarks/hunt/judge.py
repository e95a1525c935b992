"""What the NPU computes against what the CPU computes of the same model, output by output."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snapq.evaluation.sqnr import Energies, sqnr

Array = np.ndarray[Any, np.dtype[Any]]
Outputs = Mapping[str, Array]

GAP_DB = 6.0
"""How far below the CPU's SQNR the NPU's may be."""
GOOD_DB = 40.0
"""As near as this to float, the NPU is right, whatever the CPU gives."""
CHANCE_DB = 25.0
"""What chance may add, over the root of the number of elements."""
LOW_DB = {"w8a16": 15.0, "w4a16": 3.0, "fp16": 25.0}
"""Where the CPU too is below this, the quantizer is at fault, or the graph cannot be quantized."""
ALTERED_DB = 60.0
"""Below this the prepared float model does not compute what the given one does."""
_LIMIT_DB = 120.0
_FLAT = 1e-4


@dataclass(frozen=True)
class Verdict:
    """One output.

    Attributes:
        output: its name.
        npu_db: SQNR in dB of the NPU against float.
        cpu_db: of the CPU, computing the same Q/DQ model, or in float16.
        elements: how many were compared.
    """

    output: str
    npu_db: float
    cpu_db: float
    elements: int

    @property
    def disagrees(self) -> bool:
        """Whether the NPU is further below than the gap, and what chance may add to it."""
        allowed = GAP_DB + CHANCE_DB / math.sqrt(max(self.elements, 1))
        return self.npu_db < min(self.cpu_db - allowed, GOOD_DB)

    @property
    def gap(self) -> float:
        """DB by which the NPU is below."""
        return self.cpu_db - self.npu_db

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {"output": self.output, "npu_db": self.npu_db, "cpu_db": self.cpu_db}


def judge(
    truth: Sequence[Outputs], cpu: Sequence[Outputs], npu: Sequence[Outputs]
) -> list[Verdict]:
    """Compares every output that says something: finite, and not the same number throughout."""
    found = []
    for name in truth[0]:
        reference = np.stack([one[name] for one in truth]).astype(np.float64)
        if not np.isfinite(reference).all():
            continue
        largest = float(np.abs(reference).max(initial=0.0))
        if np.ptp(reference) <= _FLAT * largest:
            continue
        npu_db, cpu_db = _db(reference, npu, name), _db(reference, cpu, name)
        found.append(Verdict(name, npu_db, cpu_db, reference.size))
    return found


def _db(reference: Array, outputs: Sequence[Outputs], name: str) -> float:
    energies = Energies.of(reference, np.stack([one[name] for one in outputs]))
    value = sqnr(energies.signal, energies.noise)
    return round(min(max(value, -_LIMIT_DB), _LIMIT_DB), 2)
