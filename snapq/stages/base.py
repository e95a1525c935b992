"""What a stage is: config in, engine called, files out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from snapq.precision import precision_name
from snapq.progress import Progress, Silent

if TYPE_CHECKING:
    from snapq.config import QuantizeConfig
    from snapq.devices.profiles import DeviceProfile
    from snapq.evaluation.datasets import Dataset
    from snapq.evaluation.metrics import Metric
    from snapq.graph.boundary import Boundary


class Memo(Protocol):
    """What earlier runs found out, by key; a pipeline's cache."""

    def key(self, kind: str, **parts: object) -> str:
        """Hash of everything that a value depends on."""

    def value(self, key: str) -> Any | None:
        """The kept JSON value; None where there is none."""

    def keep_value(self, key: str, value: Any) -> None:
        """Keeps a JSON value."""


@dataclass(frozen=True)
class Context:
    """What all stages of a run share.

    Attributes:
        devices: profiles of the targets, in the order of the YAML.
        boundary: what the package takes and gives.
        calibration: samples for calibration; None where the YAML has none.
        golden: samples that the bundle carries for the check on the board.
        npu_share: lowest share of nodes on the NPU with which a package is accepted.
        training: samples for training; None where the YAML has none.
        given: the model as given, with its shapes frozen.
        original: the float model after the prepare stage: the teacher of training.
        checkpoint: file in which training keeps its state, so that a run that was killed goes on.
        seed: seed of everything random.
        quantize: options of the run's quantize stage; None where it has none.
        optimization_modes: values of htp_graph_finalization_optimization_mode that the run's
            package stage tries.
        thin_strides: whether it tries strided depthwise convolutions as ones of stride 1.
        metrics: makes the metrics of the YAML anew; none where it has none.
        memo: keeps estimates from one run to the next; None keeps nothing.
        progress: who is told what goes on.
    """

    devices: Sequence[DeviceProfile]
    boundary: Boundary | None = None
    calibration: Dataset | None = None
    golden: Dataset | None = None
    npu_share: float = 1.0
    training: Dataset | None = None
    given: Path | None = None
    original: Path | None = None
    checkpoint: Path | None = None
    seed: int = 0
    quantize: QuantizeConfig | None = None
    optimization_modes: tuple[int, ...] = (3,)
    thin_strides: bool = True
    metrics: Callable[[], tuple[Metric, ...]] = tuple
    memo: Memo | None = None
    progress: Progress = field(default_factory=Silent)

    @property
    def final_precision(self) -> str:
        """The precision that a float model comes to have in this run."""
        if self.quantize is None:
            return "fp16"
        return precision_name(self.quantize.weights, self.quantize.activations)


@dataclass(frozen=True)
class Outcome:
    """What a stage says of the files that it left in its folder.

    Attributes:
        precision: `float`, or weights and activations such as `w8a8`.
        notes: sentences for the reader.
        details: figures of this stage alone, JSON values.
    """

    precision: str
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """The model that a stage starts from.

    Attributes:
        model: path of the ONNX file.
        precision: `float`, or weights and activations.
        folder: the earlier stage's folder, with what else it wrote.
        float_model: the last float model before it, which was quantized; itself where it is float.
    """

    model: Path
    precision: str
    folder: Path
    float_model: Path | None = None
