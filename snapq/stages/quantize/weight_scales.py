"""How far the scales of one weight lie apart at 16 bits, where that costs time on the NPU.

With data of 16 bits the compiler gives some layers slower code where the scales of their channels
lie far apart, and others where they do not. Channels with scales under 1 / 64 of the largest are
all but dead in most networks, so a coarser scale loses nothing: EfficientNet-Lite0 at w8a16, 421 to
380 µs estimated at the same SQNR; CenterFace 1,841 to 1,941, where it is left (QAIRT 2.51, v73).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice

from snapq.errors import SnapqError
from snapq.evaluation.sqnr import sqnr
from snapq.npu.runtime import status
from snapq.precision import ActivationType, WeightType
from snapq.quantization.analysis.sensitivity import Analysis
from snapq.quantization.notes import Note, NoteKind
from snapq.quantization.quantize import Quantized, observe
from snapq.stages.base import Context
from snapq.stages.quantize.job import QuantizationJob
from snapq.stages.quantize.scoring import Estimator, estimated_device, run_on_cpu

__all__ = ["Raced", "race_scales"]

_APART = (256, 64)
_GAIN = 0.01
"""Share of all cycles that must be won."""
_LOSS_DB = 0.2
"""By how much the SQNR of any output, or group of its channels, may fall on the samples."""
_SAMPLES = 4


@dataclass(frozen=True)
class Raced:
    """The job to go on with, and what failed on the way."""

    job: QuantizationJob
    failures: tuple[str, ...] = ()


def race_scales(job: QuantizationJob, context: Context) -> Raced:
    """Sets how far scales may lie apart where that is faster by the estimate and loses nothing.

    It is the model at 16 bits that is estimated and run, quantized by ranges alone.
    """
    device, data = estimated_device(context), context.calibration
    eight_bits = job.scheme.weights is WeightType.INT8
    if device is None or data is None or not eight_bits or not status().usable:
        return Raced(job)
    samples = list(islice(job.feeds(data), _SAMPLES))
    scheme = replace(job.scheme, activations=ActivationType.UINT16)
    try:
        known = observe(job.model, samples)
        references = list(run_on_cpu(job.model, samples))
        analysis = Analysis(job.model, known, scheme, job.fixed, samples, references, run_on_cpu)
        found = _fastest(analysis, Estimator(device, context))
    except SnapqError as error:
        return Raced(job, (str(error),) if error.transient else ())
    if found is None:
        return Raced(job)
    note = Note(NoteKind.ESTIMATE, (), found.text(str(device.name)))
    chosen = replace(job.scheme, scales_apart=found.apart)
    return Raced(replace(job, scheme=chosen, notes=(*job.notes, note)))


@dataclass(frozen=True)
class _Choice:
    apart: int
    us: float
    before: float

    def text(self, device: str) -> str:
        """A sentence for the reader."""
        return (
            f"With 16 bits, scales of a weight lie at most {self.apart} times apart, which is "
            f"faster: {self.us:,.1f} µs for {self.before:,.1f} of the model at 16 bits, estimated "
            f"for {device}. Smaller channels have coarser scales; `never_slower: false` leaves "
            "them."
        )


def _fastest(analysis: Analysis, estimate: Estimator) -> _Choice | None:
    """The choice that wins most time and keeps the SQNR; None where none does."""
    plain = analysis.quantized(analysis.scheme)
    tried = {apart: replace(analysis.scheme, scales_apart=apart) for apart in _APART}
    others = {apart: analysis.quantized(scheme) for apart, scheme in tried.items()}
    changed = {apart: one for apart, one in others.items() if _scales(one) != _scales(plain)}
    if not changed:
        return None
    before = estimate(plain.model)
    costs = {apart: estimate(one.model) for apart, one in changed.items()}
    level = sqnr(1.0, analysis.noise(plain.model))
    for apart in sorted(costs, key=lambda one: costs[one].cycles):
        if costs[apart].cycles > (1 - _GAIN) * before.cycles:
            return None
        if sqnr(1.0, analysis.noise(changed[apart].model)) >= level - _LOSS_DB:
            return _Choice(apart, costs[apart].us, before.us)
    return None


def _scales(model: Quantized) -> dict[str, bytes]:
    """The scales of all tensors that have several."""
    return {name: e.scale.tobytes() for name, e in model.encodings.items() if e.scale.size > 1}
