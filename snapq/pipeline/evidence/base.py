"""What a kind of evidence is: what it reads, how it is gathered, whether it is kept.

A kind is an `Evidence` in a file of this package, which `snapq.pipeline.evidence` lists. It is
handed what it declares and nothing else, and what it finds is kept under a key of the same
declaration. It looks at what the stages left and never runs one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from snapq.cpu import CpuModel
from snapq.graph import io
from snapq.pipeline.available import Available, StepModel
from snapq.pipeline.cache import Cache
from snapq.progress import Progress
from snapq.quantization.existing_qdq.strip import is_quantized
from snapq.records import Figures
from snapq.stages.base import Context, Declared, Input, Reads, Source

if TYPE_CHECKING:
    from snapq.config import BenchmarkConfig
    from snapq.devices.profiles import DeviceProfile
    from snapq.graph.boundary import Boundary
    from snapq.stages.package.stage import Packaged


class Subject(Context):
    """What evidence is gathered about: the inputs that a kind declared."""

    source: Declared[Source] = Declared(Input.GIVEN)
    """The model as given: the baseline."""
    quantized: Declared[Source | None] = Declared(Input.QUANTIZED)
    """The last Q/DQ model with float inputs and outputs; None where there is none."""
    steps: Declared[Sequence[StepModel]] = Declared(Input.STEPS)
    """The models on the way."""
    benchmark: Declared[BenchmarkConfig] = Declared(Input.BENCHMARK)
    """How latency is measured."""

    @property
    def packaged(self) -> Packaged | None:
        """What the package stage recorded; None where there is none."""
        package = self.read(Input.PACKAGE)
        return None if package is None else cast("Packaged", package[0])

    @property
    def bundle(self) -> Path | None:
        """The bundle; None where there is none."""
        package = self.read(Input.PACKAGE)
        return None if package is None else cast(Path, package[1])

    @property
    def label(self) -> str:
        """Precision of what the run made: `w8a8`; `fp16` for a packaged float model."""
        return self.quantized.precision if self.quantized is not None else "fp16"

    @property
    def device(self) -> DeviceProfile:
        """The device that is simulated: the first target."""
        return self.devices[0]

    @property
    def plan(self) -> Boundary:
        """What the package was to take and give."""
        assert self.boundary is not None
        return self.boundary

    @property
    def package_boundary(self) -> Boundary:
        """What the package takes and gives; the plan of it where nothing is packaged."""
        return self.packaged.boundary if self.packaged is not None else self.plan


@dataclass(frozen=True)
class Found:
    """What a kind of evidence found.

    Attributes:
        figures: the fields that it fills.
        notes: sentences for the reader, such as why a figure is missing.
        failures: what failed on the way; what rests on it is not kept for later runs.
    """

    figures: Figures = field(default_factory=Figures)
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()

    def and_also(self, other: Found) -> Found:
        """What both found; a note that is said twice is said once."""
        return Found(
            self.figures.and_also(other.figures),
            tuple(dict.fromkeys((*self.notes, *other.notes))),
            (*self.failures, *other.failures),
        )


@dataclass(frozen=True)
class Evidence:
    """A kind of evidence.

    Attributes:
        name: of the kind, in keys.
        reads: what it is handed; it is left out where the run lacks what it needs.
        gather: looks at it. Raises `SnapqError` where a figure cannot be had though all is there.
        kept: whether later runs take what it found; not what is measured, nor what only reads.
    """

    name: str
    reads: Reads
    gather: Callable[[Subject], Found]
    kept: bool = True

    def found(self, inputs: Available, cache: Cache, progress: Progress) -> Found:
        """What an earlier run found of the same inputs, or what is gathered now."""
        if not inputs.has(self.reads):
            return Found()
        key = inputs.key(f"evidence {self.name}", self.reads) if self.kept else ""
        kept = _read(cache.value(key)) if self.kept else None
        if kept is not None:
            return kept
        subject = Subject(self.reads, inputs.values(self.reads), memo=cache, progress=progress)
        found = self.gather(subject)
        if self.kept and not found.failures:
            figures = found.figures.model_dump(mode="json", exclude_defaults=True)
            cache.keep_value(key, {"figures": figures, "notes": list(found.notes)})
        return found


def _read(kept: Any) -> Found | None:
    """What was kept; None where it is of another shape."""
    try:
        return Found(Figures.model_validate(kept["figures"]), tuple(map(str, kept["notes"])))
    except (ValidationError, KeyError, TypeError):
        return None


def as_given(subject: Subject) -> CpuModel:
    """The model as given, on this machine's CPU; one with Q/DQ is computed node by node.

    ONNX Runtime's rewrite of such a model makes 8 of 16 bits, and fails on a scale for each channel
    of an activation.
    """
    model = subject.source.model
    return CpuModel(model, optimize=not is_quantized(io.load(model)))
