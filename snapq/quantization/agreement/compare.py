"""Whether the NPU computes what the CPU computes of the same model, up to rounding.

The simulator's SQNR against float is that of ONNX Runtime's CPU within 1 to 2 dB where Qualcomm's
kernels are right (QAIRT 2.51; models of 8 and of 16 bits). So where the NPU is far below the CPU,
that is no rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np

from snapq.evaluation.channel_groups import ChannelGroup, by_range
from snapq.evaluation.sqnr import sqnr
from snapq.precision import SMALLEST_FLOAT16

__all__ = ["REPEATS", "Agreement", "Finding", "Noisy", "compare", "with_changes"]

Array = np.ndarray[Any, np.dtype[Any]]
Outputs = Mapping[str, Array]

GAP_DB = 6.0
"""The NPU may be this far below the CPU: four times its noise."""
CHANCE_DB = 35.0
"""What chance may add, over the root of the number of elements that carry the noise: four standard
errors of the ratio of two such energies."""
NOISE_DB = 25.0
"""The same over the root of the number of all elements, where the CPU was run with the noise that a
right kernel may have: the lowest of some such runs is compared."""
GOOD_DB = 40.0
"""Real outputs that near to float are no concern, whatever the CPU gives."""
GOOD_SHARE_DB = 10.0
"""The same of whole numbers, of which one in ten may differ."""
ALONE_DB = 8.0
"""Without a float model, the NPU may be this far from the CPU: half steps of 8 bits add up to 10 dB
over the layers of a deep network that is fed with noise."""
LOST_DB = 3.0
"""A model whose values on the CPU are no nearer to float is another one."""
FLOAT16_DB = 35.0
"""Float models at 16 bits are mostly at 50 to 70 dB."""
WRONG_DB = 6.0
"""So far from the CPU's values, those of the NPU are wrong, wherever that comes from."""
REPEATS = 2
"""How often a sample is run once more: graphs that read memory before it is written change their
values now and then."""
_FLAT = 2.0**-10
"""Values that are that near to each other may be one in fp16."""
_NOTHING = 1e-3
"""Where float and the CPU have 0 throughout, less than this is 0 too."""
_LEAST_FLOAT16 = 2.0**-25
"""What fp16 holds as 0, such as an RBF kernel far from its vectors."""
_LIMIT_DB = 120.0


class Finding(Enum):
    """What the comparison of one group found."""

    AGREES = "agrees"
    APART = "apart"
    """The NPU is far below the CPU."""
    COLLAPSED = "collapsed"
    """The NPU gives one value where the CPU gives several."""
    DEAD = "dead"
    """The NPU and the CPU give one value where the float model gives several."""
    CHANGES = "changes"
    """The NPU gives other values for the same input."""

    @property
    def faulty(self) -> bool:
        """Whether the NPU is at fault."""
        return self in (Finding.APART, Finding.COLLAPSED, Finding.CHANGES)


@dataclass(frozen=True)
class Agreement:
    """How near the NPU's and the CPU's values of some channels of an output are.

    Attributes:
        output: its name.
        channels: such as `[:, 4:84]`; empty where it is the whole output.
        npu_db: SQNR in dB of the NPU against float; None without a float model.
        cpu_db: the same of the CPU; None without one, and where the model itself is a float one.
        agreement_db: the same of the NPU against the CPU.
        finding: what it means.
        samples: how many were compared.
        reach: the largest magnitude of the CPU's values, where it is too small for fp16 and they
            are computed in that; else None.
    """

    output: str
    channels: str
    npu_db: float | None
    cpu_db: float | None
    agreement_db: float
    finding: Finding
    samples: int
    reach: float | None = None

    @property
    def place(self) -> str:
        """`output0[:, 4:84]`."""
        return f"{self.output}{self.channels}"

    @property
    def wrong(self) -> bool:
        """Whether the values are wrong beyond what adds up over many layers."""
        sure = self.finding in (Finding.COLLAPSED, Finding.CHANGES)
        return sure or (self.finding.faulty and self.agreement_db < WRONG_DB)

    def __str__(self) -> str:
        if self.finding is Finding.CHANGES:
            return f"'{self.place}' changes from run to run on the same input"
        if self.finding is Finding.COLLAPSED:
            return f"'{self.place}' is one value on the NPU and several on the CPU{self._why()}"
        if self.npu_db is None or self.cpu_db is None:
            return f"'{self.place}' of the NPU is {self.agreement_db:.1f} dB from the CPU's"
        return (
            f"'{self.place}' has {self.npu_db:.1f} dB on the NPU and {self.cpu_db:.1f} dB on the "
            "CPU against float"
        )

    def _why(self) -> str:
        if self.reach is None:
            return ""
        return f", as it reaches {self.reach:.1e}, and fp16 begins at {SMALLEST_FLOAT16:.1e}"


Noisy = Callable[[], Sequence[Sequence[Outputs]]]
"""Runs the CPU with the noise that a right kernel may have: sample by sample, several times."""


def compare(
    cpu: Sequence[Outputs],
    npu: Sequence[Outputs],
    reference: Sequence[Outputs] | None,
    *,
    float16: bool = False,
    noisy: Noisy | None = None,
    chosen: Collection[str] = (),
) -> tuple[Agreement, ...]:
    """Compares output by output, and group of channels by group (`by_range`).

    Where the NPU is below by more than the gap, and by no more than chance can explain, the CPU
    with noise decides, if there is one.

    Args:
        cpu: outputs of the model on the CPU, sample by sample, as real numbers where they are such.
        npu: outputs of the same model on the NPU.
        reference: outputs of the float model; None where there is none to compare with.
        float16: whether the model is a float one, which the NPU computes in 16 bits.
        noisy: gives the CPU's outputs with noise, as `with_noise`; asked for where it is needed.
        chosen: outputs whose rows, or the order of these, are computed, as `unsteady_outputs`: of
            these noise explains whatever it makes of them.
    """
    found = []
    doubt = _Doubt(noisy, frozenset(chosen))
    for name in cpu[0]:
        truth = None if reference is None else [one[name] for one in reference]
        mine, theirs = [one[name] for one in cpu], [one[name] for one in npu]
        for group in by_range(mine if truth is None else truth):
            parts = [
                None if arrays is None else np.stack([group.of(one) for one in arrays])
                for arrays in (truth, mine, theirs)
            ]
            one = _compared(name, group.name, parts[0], parts[1], parts[2], float16=float16)
            if one is None:
                continue
            base = parts[1] if parts[0] is None or float16 else parts[0]
            one = doubt.judged(one, group, base)
            reach = max(float(np.max(np.abs(group.of(array)), initial=0.0)) for array in mine)
            small = float16 and 0.0 < reach < SMALLEST_FLOAT16
            found.append(replace(one, samples=len(cpu), reach=reach if small else None))
    return tuple(found)


def with_changes(findings: Sequence[Agreement], runs: Sequence[Outputs]) -> tuple[Agreement, ...]:
    """The findings, and which outputs differ between runs of the same sample."""
    first = runs[0]
    changing = {
        name
        for name, values in first.items()
        for again in runs[1:]
        if not np.array_equal(values, again[name], equal_nan=values.dtype.kind == "f")
    }
    return tuple(
        replace(one, finding=Finding.CHANGES, agreement_db=-_LIMIT_DB)
        if one.output in changing
        else one
        for one in findings
    )


class _Doubt:
    """Asks whether noise explains what is off by more than the gap."""

    def __init__(self, noisy: Noisy | None, chosen: frozenset[str]) -> None:
        self._noisy, self._chosen = noisy, chosen
        self._runs: Sequence[Sequence[Outputs]] | None = None

    def judged(self, one: Agreement, group: ChannelGroup, base: Array | None) -> Agreement:
        """The same, apart where noise does not explain it, and in agreement where it does.

        Args:
            one: what was found of it.
            group: its channels.
            base: the float model's values of it; those of the CPU where there is none.
        """
        if self._noisy is None or base is None:
            return one
        chosen, real = one.output in self._chosen, base.dtype.kind == "f"
        if (not real and not (chosen and base.dtype.kind in "iu")) or (real and not np.any(base)):
            return one
        if one.finding not in (Finding.AGREES, Finding.APART):
            return one
        npu_db = one.agreement_db if one.npu_db is None else one.npu_db
        own = _LIMIT_DB if one.cpu_db is None else one.cpu_db
        limit = GAP_DB + NOISE_DB / math.sqrt(base.size)
        if one.finding is Finding.AGREES and npu_db >= min(own - limit, GOOD_DB):
            return one
        if self._runs is None:
            self._runs = self._noisy()
        for run in self._runs:
            values = np.stack([group.of(sample[one.output]) for sample in run])
            own = min(own, (_decibels if real else _shares)(base, values)[0])
        explained = npu_db >= min(own - limit, GOOD_DB)
        if explained and not chosen and one.npu_db is not None and one.cpu_db is None:
            explained = npu_db >= FLOAT16_DB  # fp16 so far from float is told in any case
        return replace(one, finding=Finding.AGREES if explained else Finding.APART)


def _compared(
    output: str,
    channels: str,
    truth: Array | None,
    cpu: Array | None,
    npu: Array | None,
    *,
    float16: bool,
) -> Agreement | None:
    """One group; None where there is nothing in it to compare."""
    assert cpu is not None
    assert npu is not None
    if not cpu.size or cpu.dtype.kind not in "biuf":
        return None
    shares = cpu.dtype.kind != "f"
    near = _shares if shares else _decibels
    agreement, _ = near(cpu, npu)
    zero = _LEAST_FLOAT16 if float16 else 0.0
    if not shares and np.abs(cpu).max() <= zero and np.abs(npu).max() < _NOTHING:
        agreement = _LIMIT_DB
    npu_db: float | None = None
    cpu_db: float | None = None
    good = GOOD_SHARE_DB if shares else GOOD_DB
    if float16:
        npu_db = agreement  # the CPU's values are those of float
        apart = agreement < (good if shares else FLOAT16_DB)
    elif truth is None or not np.any(truth):
        apart = agreement < (GOOD_SHARE_DB / 2 if shares else ALONE_DB)
    else:
        cpu_db, some = near(truth, cpu)
        npu_db, others = near(truth, npu)
        chance = CHANCE_DB / math.sqrt(max(min(some, others), 1.0))
        apart = npu_db < min(cpu_db - GAP_DB - chance, good)
        if cpu_db < LOST_DB and not shares:  # float is no measure any more
            apart = apart or agreement < ALONE_DB
    finding = Finding.APART if apart else Finding.AGREES
    if not shares and _one_value(npu) and cpu.size > 1:
        if not _one_value(cpu, _FLAT if float16 else 0.0):
            finding = Finding.COLLAPSED
        elif truth is not None and not _one_value(truth):
            finding = Finding.DEAD
    return Agreement(output, channels, npu_db, cpu_db, agreement, finding, 0)


def _one_value(array: Array, spread: float = 0.0) -> bool:
    """Whether an array holds one value, or several that differ by no more than that share."""
    if not spread:
        return bool((array == array.flat[0]).all())
    values = array.astype(np.float64)
    return bool(np.ptp(values) <= spread * np.abs(values).max())


def _decibels(truth: Array, found: Array) -> tuple[float, float]:
    """SQNR within -120 and 120 dB, and the number of elements that carry the noise.

    That number is `sum(e^2)^2 / sum(e^4)`: the elements, where all are off alike, and 1 where one
    has all of it.
    """
    r, o = truth.astype(np.float64).reshape(-1), found.astype(np.float64).reshape(-1)
    counted = np.isfinite(r)
    r, o = r[counted], o[counted]
    largest = float(np.abs(r).max(initial=0.0)) or 1.0
    r, o = r / largest, np.clip(np.nan_to_num(o / largest, nan=1e6), -1e6, 1e6)
    squares = np.square(r - o)
    noise, fourth = float(squares.sum()), float(np.square(squares).sum())
    value = sqnr(float(np.square(r).sum()), noise)
    carrying = noise * noise / fourth if fourth > 0 else float(max(r.size, 1))
    return min(max(value, -_LIMIT_DB), _LIMIT_DB), carrying


def _shares(truth: Array, found: Array) -> tuple[float, float]:
    """The same of whole numbers, by the number of those that differ.

    A count varies less than a sum of squares does, as that of three times as many elements.
    """
    differ = int(np.count_nonzero(truth != found))
    value = sqnr(float(truth.size), float(differ))
    return min(value, _LIMIT_DB), 3.0 * max(differ, 1)
