"""How near a model's outputs are to those of the float model; needs no labels.

Definitions, for the elements `r` of the reference and `o` of the output of one sample:

- SQNR is `10 log10(sum(r^2) / sum((r - o)^2))` in dB, kept within -200 and 200: equal outputs give
  200 dB, and a reference of zeros that is missed gives -200 dB. Reported as mean and minimum over
  samples.
- Cosine is `sum(r o) / sqrt(sum(r^2) sum(o^2))`; 1 where both are zero, 0 where one is. Mean over
  samples.
- Agreement, for outputs of whole numbers and truth values, is the share of equal elements.

Elements that are infinite, or no numbers, in both alike count as equal and are left out of the
sums; where only one of the two is so, the sample's SQNR is -200 dB and its cosine 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from snapq.errors import DataError, ModelError
from snapq.evaluation.samples import Array
from snapq.evaluation.sqnr import Energies, sqnr

LIMIT_DB = 200.0


def sqnr_db(reference: Array, output: Array) -> float:
    """SQNR of one sample in dB, within -200 and 200; shapes are equal."""
    r, o = _comparable(reference, output)
    if not np.isfinite(o).all() or not np.isfinite(r).all():
        return -LIMIT_DB
    energies = Energies.of(r, o)
    return min(max(sqnr(energies.signal, energies.noise), -LIMIT_DB), LIMIT_DB)


def cosine(reference: Array, output: Array) -> float:
    """Cosine of the angle between two arrays of equal shape, within -1 and 1."""
    r, o = _comparable(reference, output)
    if not np.isfinite(o).all() or not np.isfinite(r).all():
        return 0.0
    lengths = math.sqrt(float(np.sum(r * r))) * math.sqrt(float(np.sum(o * o)))
    if lengths == 0:
        return 1.0 if not r.any() and not o.any() else 0.0
    return min(max(float(np.sum(r * o)) / lengths, -1.0), 1.0)


def agreement(reference: Array, output: Array) -> float:
    """Share of equal elements of two arrays of equal shape."""
    return float(np.mean(reference == output)) if reference.size else 1.0


def _comparable(reference: Array, output: Array) -> tuple[Array, Array]:
    """Both as float64 without the elements that are not finite in both alike.

    They are scaled alike to at most 1, so that squares stay finite.
    """
    r = np.asarray(reference, np.float64).reshape(-1)
    o = np.asarray(output, np.float64).reshape(-1)
    alike = ~np.isfinite(r) & ((r == o) | (np.isnan(r) & np.isnan(o)))
    if alike.any():
        r, o = r[~alike], o[~alike]
    largest = max(float(np.abs(r).max(initial=0)), float(np.abs(o).max(initial=0)))
    return (r / largest, o / largest) if math.isfinite(largest) and largest > 0 else (r, o)


@dataclass(frozen=True)
class OutputFidelity:
    """How near one output is to the float model's.

    Attributes:
        name: of the output.
        sqnr_db: mean over samples.
        sqnr_db_min: of the worst sample.
        cosine: mean over samples.
        agreement: share of equal elements, of outputs of whole numbers or truth values only.
        samples: number of samples compared.
        collapsed: what is left of an output that is of no use: one value where float has several,
            or so few decibels over all samples together; None of all others.
        smallest: the float model's smallest value.
        largest: its largest.
    """

    name: str
    sqnr_db: float
    sqnr_db_min: float
    cosine: float
    agreement: float | None
    samples: int
    collapsed: str | None = None
    smallest: float = 0.0
    largest: float = 0.0


ONE_VALUE = "one value"
_FEW = 8
"""Fewer values may be alike by chance."""
LEAST_DB = 10.0
"""What has less, of the energies of all samples together, is lost: a third of its amplitude is
error."""


@dataclass
class _Range:
    """The smallest and the largest value so far, and how many there were."""

    low: float = math.inf
    high: float = -math.inf
    count: int = 0

    def add(self, array: Array) -> None:
        """Takes an array; what is not finite is left out."""
        finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
        self.count += finite.size
        if finite.size:
            self.low = min(self.low, float(finite.min()))
            self.high = max(self.high, float(finite.max()))

    @property
    def varies(self) -> bool:
        """Whether values are further apart than 8 bits for the largest would have to tell."""
        apart = self.high - self.low
        return self.count >= _FEW and apart * 2**8 > max(abs(self.low), abs(self.high))


@dataclass
class _Output:
    """Running figures of one output."""

    sqnr_sum: float = 0.0
    sqnr_min: float = math.inf
    cosine_sum: float = 0.0
    agreement_sum: float = 0.0
    discrete: bool = False
    energies: Energies = field(default_factory=Energies)
    expected: _Range = field(default_factory=_Range)
    found: _Range = field(default_factory=_Range)

    def collapsed(self) -> str | None:
        """What is left where nothing of use is; None where something is."""
        wanted, found = self.expected, self.found
        if not wanted.low < wanted.high:
            return None
        if found.low == found.high and wanted.varies:
            return ONE_VALUE
        decibels = sqnr(self.energies.signal, self.energies.noise)
        return f"{decibels:.1f} dB" if not self.discrete and decibels < LEAST_DB else None


class Fidelity:
    """Compares outputs sample by sample and keeps a few numbers for each output.

    Args:
        any_shape: whether the shape of an output may depend on the data, as the number of
            detections does; of one that differs in a sample there is no figure, see `undefined`.
    """

    def __init__(self, *, any_shape: bool = False) -> None:
        self.samples = 0
        self.undefined: set[str] = set()
        """Outputs that differed in shape."""
        self._any_shape = any_shape
        self._outputs: dict[str, _Output] = {}

    def update(self, reference: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        """Adds one sample: the float model's outputs, and the outputs to judge.

        Raises:
            ModelError: an output is missing or of another shape.
        """
        for name, expected in reference.items():
            found = outputs.get(name)
            if self._any_shape and found is not None and found.shape != expected.shape:
                self.undefined.add(name)
                continue
            if found is None or found.shape != expected.shape:
                shape = "missing" if found is None else f"of shape {list(found.shape)}"
                raise ModelError(
                    f"The output is {shape}, and the float model's is {list(expected.shape)}.",
                    where=name,
                )
            entry = self._outputs.setdefault(name, _Output(discrete=expected.dtype.kind in "biu"))
            decibels = sqnr_db(expected, found)
            entry.sqnr_sum += decibels
            entry.sqnr_min = min(entry.sqnr_min, decibels)
            entry.cosine_sum += cosine(expected, found)
            entry.agreement_sum += agreement(expected, found)
            entry.energies += Energies.of(expected, found)
            entry.expected.add(expected)
            entry.found.add(found)
        self.samples += 1

    def results(self) -> tuple[OutputFidelity, ...]:
        """One result for each output, in the float model's order.

        Raises:
            DataError: there were no samples.
        """
        if self.samples == 0:
            raise DataError("There are no samples to compare.", hint="Give evaluation data.")
        return tuple(
            OutputFidelity(
                name=name,
                sqnr_db=entry.sqnr_sum / self.samples,
                sqnr_db_min=entry.sqnr_min,
                cosine=entry.cosine_sum / self.samples,
                agreement=entry.agreement_sum / self.samples if entry.discrete else None,
                samples=self.samples,
                collapsed=entry.collapsed(),
                smallest=entry.expected.low,
                largest=entry.expected.high,
            )
            for name, entry in self._outputs.items()
            if name not in self.undefined
        )
