"""What the package is compared with on a device: the forms of the network that it could be instead.

At fp16 there are the model as given, what the prepare stage made of it, and that with the package's
own inputs and outputs. A device without fp16 has none of them, and another chip's figure would be
none of its own: there w8a8 and w8a16 are compared with each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx_ir as ir

from snapq.config import JudgeConfig
from snapq.devices.profiles import DeviceProfile, nearest_with_estimate
from snapq.errors import SnapqError
from snapq.graph import boundary, io
from snapq.npu.memory import Memory
from snapq.npu.model import Model, Source, Variants
from snapq.pipeline.evidence.base import Subject
from snapq.precision import ActivationType, Preset, WeightType
from snapq.quantization.existing_qdq.strip import is_quantized
from snapq.records import EstimateRecord
from snapq.stages.base import Input
from snapq.stages.estimating import as_packaged

__all__ = [
    "OWN_BOUNDARY",
    "PREPARED",
    "SAME_BOUNDARY",
    "UNMODIFIED",
    "Baselines",
    "estimated",
]

UNMODIFIED = "fp16 unmodified"
PREPARED = "fp16 prepared"
SAME_BOUNDARY = "fp16 same boundary"
OWN_BOUNDARY = (UNMODIFIED, PREPARED)
"""The fp16 forms with the given inputs and outputs; a speed-up counts over the faster one."""
FORM = " form"
"""Behind the precision of a baseline that is no fp16 form: a package may have the same one."""

_TRIES = JudgeConfig().tries
"""Forms of the baseline with the package's boundary that are estimated."""


class Baselines:
    """The baselines of a run, each made once.

    Args:
        subject: what the run has.
        label: precision of the package.
    """

    def __init__(self, subject: Subject, label: str) -> None:
        self._subject = subject
        self._label = label
        self._fp16: dict[str, Source] | None = None
        self._integer: dict[str, Source] | None = None
        self._no_integer = ""

    def of(self, device: DeviceProfile) -> dict[str, Source]:
        """The baselines on a device, by label."""
        if "fp16" in device.precisions:
            if self._fp16 is None:
                self._fp16 = {name: Source(model) for name, model in _fp16_forms(self._subject)}
            return self._fp16
        if self._integer is None:
            try:
                self._integer = dict(_other_integers(self._subject, self._label))
            except SnapqError as error:
                if error.transient:
                    raise
                self._integer, self._no_integer = {}, f" ({error})"
        return self._integer

    def note(self, device: DeviceProfile) -> str | None:
        """Why a device has no fp16 baseline, and what it has instead; None where it has one."""
        if "fp16" in device.precisions or self._subject.original is None:
            return None
        others = [name.removesuffix(FORM) for name in self.of(device)]
        instead = (
            f"{self._label} is compared with {others[0]} there"
            if others
            else f"there is no other form to compare {self._label} with{self._no_integer}: measure "
            "the model as given on the board's CPU (`benchmark`) for one"
        )
        return f"{device.name} has no fp16, so there is no speed-up over fp16 on it; {instead}."


def estimated(source: Source, device: DeviceProfile, label: str, memory: Memory) -> EstimateRecord:
    """Estimates a baseline, on the device itself or on the nearest that has an estimate.

    That with the package's boundary is rewritten where it gains, as a package is.
    """
    variants = Variants(tries=_TRIES if label == SAME_BOUNDARY else 0)
    near = nearest_with_estimate(device)
    found = Model(source, near, variants=variants, memory=memory).estimate(label)
    return found.model_copy(update={"device": device.name})


def _fp16_forms(subject: Subject) -> Iterator[tuple[str, Path | ir.Model]]:
    """The fp16 forms as label and model."""
    if subject.original is None:  # trees: there is no float form of them that the NPU would run
        return
    prepared, plan = subject.original.model, subject.plan
    # A model that came quantized may hold what the NPU cannot run: its float form stands for it.
    given = subject.source.model
    came_quantized = is_quantized(io.load(given))
    yield UNMODIFIED, prepared if came_quantized else given
    if not came_quantized:
        yield PREPARED, prepared
    if plan.changes_float_model:
        model = boundary.fold_normalization(io.load(prepared), plan)
        yield SAME_BOUNDARY, boundary.apply(model, plan).model


def _other_integers(subject: Subject, label: str) -> Iterator[tuple[str, Source]]:
    """w8a16, or w8a8 where that is what the package is; encodings cost no time."""
    options = subject.quantize
    if subject.original is None or options is None or subject.calibration is None:
        return
    activations = ActivationType.UINT8 if label == "w8a16" else ActivationType.UINT16
    other = options.model_copy(
        update={
            "precision": None,
            "goal": None,
            "mixed_precision": None,
            "encodings": None,
            "overrides": (),
            "weights": WeightType.INT8,
            "activations": activations,
            "preset": Preset.FAST,
            "algorithms": None,
        }
    )
    context = subject.replaced(Input.QUANTIZE, other)
    model = as_packaged(io.load(subject.original.model), context)
    yield f"w8a{activations.bits}{FORM}", Source(model)
