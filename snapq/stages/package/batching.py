"""How many samples a call of the package takes, and what that gains by the estimate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir

from snapq.config import PackageConfig
from snapq.devices.profiles import DeviceProfile
from snapq.errors import ConfigError, DeviceError, ModelError, QnnError
from snapq.graph.batch import batched
from snapq.graph.boundary import Applied
from snapq.npu.model import Memory, Model, Source, Variants
from snapq.progress import Progress

__all__ = ["TRIED", "Curve", "check_batch", "choose", "curve", "curves"]

TRIED = (1, 2, 4, 8, 16)
"""What `auto` tries."""
_NEARLY = 1.03
"""A smaller batch is taken where it is at most so much slower a sample: a call takes less long."""


@dataclass(frozen=True)
class Curve:
    """Estimates of one device by how many samples a call takes.

    Attributes:
        device: its name.
        us: microseconds a sample; those that have none are left out.
        reasons: why they have none.
    """

    device: str
    us: Mapping[int, float]
    reasons: Mapping[int, str] = field(default_factory=dict)

    @property
    def best(self) -> int:
        """The smallest batch that is about as fast a sample as the fastest."""
        if not self.us:
            return 1
        least = min(self.us.values())
        return min(size for size, us in self.us.items() if us <= _NEARLY * least)

    def told(self, size: int) -> Iterator[str]:
        """What a reader is to know where `size` was taken."""
        if size in self.us and 1 in self.us and size > 1:
            share = self.us[size] / self.us[1]
            yield (
                f"{self.device}: a sample takes {self.us[size]:,.1f} µs in a call of {size}, "
                f"{share:.0%} of the {self.us[1]:,.1f} µs of a call of one "
                f"(estimated{self._rest(size)})."
            )
        elif size == 1 and self.us:
            yield f"{self.device}: a call of one sample is the fastest (estimated{self._rest(1)})."
        yield from (
            f"{self.device}: no estimate of calls of {number}: {reason}"
            for number, reason in self.reasons.items()
        )

    def _rest(self, size: int) -> str:
        others = [f"{n}: {us:,.1f} µs" for n, us in self.us.items() if n not in (1, size)]
        return f"; {', '.join(others)} a sample" if others else ""

    def to_json(self) -> dict[str, Any]:
        """For the record."""
        return {"us": {str(size): us for size, us in self.us.items()}, "reasons": self.reasons}


def check_batch(config: PackageConfig, applied: Applied, *, alone: str | None) -> None:
    """Refuses batches of what has none.

    Args:
        config: of the stage.
        applied: the model of one sample with its boundary.
        alone: why samples cannot be gathered; None where they can.

    Raises:
        ConfigError, ModelError: there are none of this model.
    """
    if config.batch == 1:
        return
    where, hint = "stages.package.batch", "Leave `batch` out."
    if alone is not None:
        raise ConfigError(f"There are no batches of this model: {alone}.", where=where, hint=hint)
    for item in applied.boundary.inputs:
        if item.channel_axis == 0 or (item.permutation is not None and item.permutation[0] != 0):
            raise ModelError(
                f"There are no batches of this model: the first axis of its input '{item.name}' "
                "is that of the channels.",
                where=where,
                hint=hint,
            )
    for given in applied.boundary.outputs:
        if given.permutation is not None and given.permutation[0] != 0:
            raise ModelError(
                f"There are no batches of this model: its output '{given.name}' has other axes "
                "in front than the samples.",
                where=where,
                hint=hint,
            )


def curve(
    model: ir.Model,
    device: DeviceProfile,
    sizes: Sequence[int],
    memory: Memory,
    modes: tuple[int, ...] = (3,),
) -> Curve:
    """Estimates a model of one sample as one of several.

    Figures of different batches are ranked only where none lacks costs of operators.
    """
    us: dict[int, float] = {}
    reasons: dict[int, str] = {}
    variants = Variants(modes, thin_strides=False)
    for size in sizes:
        try:
            source = Source(batched(model, size))
            found = Model(source, device, variants=variants, memory=memory).estimate()
        except (ModelError, DeviceError, QnnError) as error:
            if error.transient:
                raise
            reasons[size] = str(error)
            continue
        if found.missing_ops:
            reasons[size] = f"{found.missing_ops} operators have no cost in it."
        else:
            us[size] = found.model_copy(update={"batch": size}).sample_us
    return Curve(device.name, us, reasons)


def curves(
    model: ir.Model,
    devices: Sequence[DeviceProfile],
    config: PackageConfig,
    memory: Memory,
    progress: Progress,
) -> tuple[Curve, ...]:
    """The estimates of every device, of the batches that the stage is to try."""
    sizes = TRIED if config.batch == "auto" else tuple(dict.fromkeys((1, config.batch)))
    found = []
    with progress.track("Estimate batches", len(devices)) as advance:
        for device in devices:
            found.append(curve(model, device, sizes, memory, config.optimization_modes[-1:]))
            advance(1)
    return tuple(found)


def choose(found: Sequence[Curve]) -> int:
    """One batch for several devices: that with the least time a sample, by the mean of ratios."""
    bests = {one.best for one in found}
    if len(bests) == 1:
        return bests.pop()
    shared = set.intersection(*(set(one.us) for one in found)) or {1}
    least = {one.device: min(one.us.values(), default=1.0) for one in found}

    def ratio(size: int) -> float:
        return sum(one.us.get(size, 1.0) / least[one.device] for one in found)

    best = min(map(ratio, shared))
    return min(size for size in shared if ratio(size) <= _NEARLY * best)
