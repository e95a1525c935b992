"""What a bundle is to be made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from snapq.bundle.application import ApplicationFacts
from snapq.classical.host import Host
from snapq.devices.profiles import DeviceProfile
from snapq.evaluation.samples import Sample
from snapq.evaluation.tail import TailFile
from snapq.graph.boundary import Boundary
from snapq.graph.shapes import TensorSpec
from snapq.npu.model import Memory


@dataclass(frozen=True)
class ClassicalParts:
    """What belongs into the bundle of a classical model beside its part on the NPU.

    Attributes:
        host: head and tail.
        inputs: what the model takes, `[rows, columns]`.
        whole: the model as it was before it was lowered.
        folder: of the lower stage, which may hold `cpu.onnx`, `head.onnx` and `tail.onnx`.
    """

    host: Host
    inputs: tuple[TensorSpec, ...]
    whole: Path
    folder: Path


@dataclass(frozen=True)
class PackageJob:
    """What a bundle is to be made of.

    Attributes:
        model: the Q/DQ model with float inputs and outputs, or the prepared float model.
        precision: `float`, or weights and activations such as `w8a8`.
        encodings: file with the encodings of all tensors; None for a float model.
        devices: what to compile for; the same device twice counts once.
        plan: the boundary.
        samples: samples for the golden data; None where there are none.
        float_model: the float model that was quantized, as far as it is known.
        npu_share: lowest share of nodes on the NPU.
        random_inputs: whether samples or calibration are random numbers.
        memory: estimates that are known.
        folded: whether the normalization of the boundary is in the float model already.
        tail: what the CPU runs behind the package, of a model that was cut.
        classical: what else belongs into the bundle of a classical model.
        application: what its files for applications say beside the manifest.
    """

    model: Path
    precision: str
    encodings: Path | None
    devices: Sequence[DeviceProfile]
    plan: Boundary
    samples: Sequence[Sample] | None
    float_model: Path | None
    npu_share: float
    random_inputs: bool
    memory: Memory = field(default_factory=Memory)
    folded: bool = False
    tail: TailFile | None = None
    classical: ClassicalParts | None = None
    application: ApplicationFacts = field(default_factory=ApplicationFacts)

    @property
    def alone(self) -> str | None:
        """Why samples cannot be gathered into calls of several; None where they can."""
        if self.classical is not None:
            return "a classical model takes as many rows as `model.inputs` says"
        if self.application.state:
            return "it has state, so that a sample rests on the one before"
        return None

    @property
    def label(self) -> str:
        """Precision in which it runs."""
        return "fp16" if self.precision == "float" else self.precision
