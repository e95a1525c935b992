"""What a stage is: a module that says what it reads, and turns that into files.

A stage named `x` in deploy.yaml is the module `snapq.stages.x` with two functions:

- `reads(options)` declares what the stage depends on,
- `run(options, context, folder)` writes the new model into `folder`.

`run` is handed a `Context` with what `reads` declares and nothing else; the key under which the
result is kept is made of the same declaration. A stage that reads what it did not declare fails at
once, so that no result can be kept under a key that does not cover it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar, cast

from snapq.precision import precision_name
from snapq.progress import Progress, Silent

if TYPE_CHECKING:
    from snapq.classical.host import HostFile
    from snapq.config import QuantizeConfig, StageOptions
    from snapq.devices.profiles import DeviceProfile
    from snapq.evaluation.metrics import Metric
    from snapq.evaluation.samples import Dataset, Sample
    from snapq.evaluation.tail import TailFile
    from snapq.graph.boundary import Boundary
    from snapq.npu.memory import Memo


class Input(StrEnum):
    """What a stage, or a kind of evidence, can depend on beside its options, the code, the tools.

    The pipeline knows how each is fingerprinted (`snapq.pipeline.available`).
    """

    MODEL = "model"
    """The model file as named in the YAML, the shapes of its inputs, and where it is cut."""
    GIVEN = "given"
    """The model as given, with its shapes frozen; of one that is cut, the part in front."""
    TAIL = "tail"
    """What the CPU runs behind the part in front; only of a model that is cut."""
    WHOLE = "whole"
    """Of a classical model that was lowered, the model before; `GIVEN` is its part on the NPU."""
    HOST = "host"
    """Head and tail of a classical model that was lowered."""
    ORIGINAL = "original"
    """The float model after the prepare stage."""
    PREVIOUS = "previous"
    """What the stage before left."""
    FLOAT = "float"
    """The last float model."""
    QUANTIZED = "quantized"
    """The last Q/DQ model with float inputs and outputs."""
    STEPS = "steps"
    """What every stage left, in order."""
    PACKAGE = "package"
    """The bundle, and what the package stage recorded."""
    CALIBRATION = "calibration"
    TRAINING = "training"
    EVALUATION = "evaluation"
    GOLDEN = "golden"
    """The samples that the bundle carries for the check on the board."""
    STATE = "state"
    """Of a model with state, output to the input that takes it at the next step."""
    EXAMPLES = "examples"
    """The first samples of evaluation; their labels do not count."""
    RANDOM = "random"
    """Whether any result rests on random inputs."""
    BOUNDARY = "boundary"
    """What the package takes and gives."""
    DEVICES = "devices"
    """Profiles of the devices, of other devices that the YAML names, and of those whose estimates
    stand for them."""
    SEED = "seed"
    METRICS = "metrics"
    """The metrics of the YAML, with the source of the user's own."""
    QUANTIZE = "quantize"
    """Options of the run's quantize stage."""
    OPTIMIZATION_MODES = "optimization_modes"
    """Values of htp_graph_finalization_optimization_mode that the run's package stage tries."""
    THIN_STRIDES = "thin_strides"
    """Whether it tries strided depthwise convolutions as ones of stride 1."""
    NPU_SHARE = "npu_share"
    """Lowest share of nodes on the NPU with which a package is accepted."""
    BENCHMARK = "benchmark"
    """How latency is measured."""
    OWN_MEASUREMENTS = "own_measurements"
    """What the user's own measurements say of predictions, by device."""


class UndeclaredInputError(LookupError):
    """A stage or a kind of evidence read something that it did not declare: a defect of it."""


@dataclass(frozen=True)
class Reads:
    """What a stage depends on.

    Attributes:
        needed: what it cannot do without; a run that lacks it is refused before any work.
        optional: what it also reads where the run has it.
    """

    needed: tuple[Input, ...]
    optional: tuple[Input, ...] = ()

    @property
    def all(self) -> tuple[Input, ...]:
        """Both, each once."""
        return tuple(dict.fromkeys((*self.needed, *self.optional)))


ESTIMATE = (
    Input.DEVICES,
    Input.BOUNDARY,
    Input.CALIBRATION,
    Input.QUANTIZE,
    Input.OPTIMIZATION_MODES,
    Input.THIN_STRIDES,
)
"""What an estimate of a model as the run would package it rests on."""

Read = TypeVar("Read")

_DEFAULTS: Mapping[Input, Any] = {
    Input.NPU_SHARE: 1.0,
    Input.SEED: 0,
    Input.OPTIMIZATION_MODES: (3,),
    Input.THIN_STRIDES: True,
    Input.METRICS: tuple,
    Input.RANDOM: False,
    Input.STEPS: (),
    Input.EXAMPLES: (),
    Input.STATE: {},
}


@dataclass(frozen=True)
class Source:
    """A model that an earlier stage left.

    Attributes:
        model: path of the ONNX file.
        precision: `float`, or weights and activations.
        folder: the stage's folder, with what else it wrote.
    """

    model: Path
    precision: str
    folder: Path


class Declared(Generic[Read]):
    """A property of a `Context`: the value of an input that has to be declared."""

    def __init__(self, item: Input) -> None:
        self._item = item

    def __get__(self, context: Context, _: type[Context]) -> Read:
        return cast(Read, context.read(self._item))


class Context:
    """What a stage is handed: the inputs that it declared, and three services.

    Args:
        reads: the declaration.
        values: values of inputs; those that are not declared are not handed on.
        checkpoint: file in which training keeps its state, so that a run that was killed resumes.
        memo: keeps estimates from one run to the next; None keeps nothing.
        progress: progress reporter.

    Every property raises `UndeclaredInputError` where the input is not declared.
    """

    model: Declared[tuple[Path, Mapping[str, Any], tuple[str, ...]]] = Declared(Input.MODEL)
    """The model file as named in the YAML, the shapes of its inputs, and the tensors to cut at."""
    previous: Declared[Source] = Declared(Input.PREVIOUS)
    """What the stage before left."""
    given: Declared[Source | None] = Declared(Input.GIVEN)
    """The model as given, with its shapes frozen; of one that is cut, the part in front."""
    tail: Declared[TailFile | None] = Declared(Input.TAIL)
    """What the CPU runs behind the part in front; None where nothing was cut off."""
    whole: Declared[Source | None] = Declared(Input.WHOLE)
    """The classical model that was lowered; None for other models."""
    host: Declared[HostFile | None] = Declared(Input.HOST)
    """Head and tail of a classical model; None for other models."""
    original: Declared[Source | None] = Declared(Input.ORIGINAL)
    """The float model after the prepare stage: the teacher of training."""
    float_model: Declared[Source | None] = Declared(Input.FLOAT)
    """The last float model: what was quantized."""
    devices: Declared[Sequence[DeviceProfile]] = Declared(Input.DEVICES)
    """Profiles of the devices, in the order of the YAML."""
    boundary: Declared[Boundary | None] = Declared(Input.BOUNDARY)
    """What the package takes and gives."""
    calibration: Declared[Dataset | None] = Declared(Input.CALIBRATION)
    """Samples for calibration; None where the YAML has none."""
    training: Declared[Dataset | None] = Declared(Input.TRAINING)
    """Samples for training; the calibration samples where the YAML names none."""
    evaluation: Declared[Dataset | None] = Declared(Input.EVALUATION)
    """Samples for evaluation; the calibration samples where the YAML names none."""
    golden: Declared[Sequence[Sample] | None] = Declared(Input.GOLDEN)
    """Samples that the bundle carries for the check on the board."""
    examples: Declared[Sequence[Sample]] = Declared(Input.EXAMPLES)
    """The first samples of evaluation; none where there are none."""
    state: Declared[Mapping[str, str]] = Declared(Input.STATE)
    """Of a model with state, output to the input that takes it; of others empty."""
    random_inputs: Declared[bool] = Declared(Input.RANDOM)
    """Whether any result rests on random inputs."""
    npu_share: Declared[float] = Declared(Input.NPU_SHARE)
    """Lowest share of nodes on the NPU with which a package is accepted."""
    seed: Declared[int] = Declared(Input.SEED)
    """Seed of everything random."""
    metrics: Declared[Callable[[], tuple[Metric, ...]]] = Declared(Input.METRICS)
    """Makes the metrics of the YAML anew; none where it has none."""
    quantize: Declared[QuantizeConfig | None] = Declared(Input.QUANTIZE)
    """Options of the run's quantize stage; None where it has none."""
    optimization_modes: Declared[tuple[int, ...]] = Declared(Input.OPTIMIZATION_MODES)
    """Values of htp_graph_finalization_optimization_mode that the package stage tries."""
    thin_strides: Declared[bool] = Declared(Input.THIN_STRIDES)
    """Whether it tries strided depthwise convolutions as ones of stride 1."""

    def __init__(
        self,
        reads: Reads,
        values: Mapping[Input, Any],
        *,
        checkpoint: Path | None = None,
        memo: Memo | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._values = {item: values.get(item, _DEFAULTS.get(item)) for item in reads.all}
        self.checkpoint = checkpoint
        self.memo = memo
        self.progress: Progress = progress or Silent()

    def read(self, item: Input) -> Any:
        """The value of a declared input; None where the run has none."""
        if item not in self._values:
            raise UndeclaredInputError(f"`{item}` is read and not declared.")
        return self._values[item]

    def replaced(self, item: Input, value: Any) -> Self:
        """The same with another value of a declared input."""
        self.read(item)
        other = copy(self)
        other._values = {**self._values, item: value}
        return other

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
        failures: what failed on the way (a full disk, a compiler that did not answer), although a
            model came of it; such a result is not kept for later runs.
        changed: of a stage that changes what the model computes, the models that it made one
            after the other: label to file; a run with such a stage is evaluated step by step.
    """

    precision: str
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    changed: Mapping[str, str] = field(default_factory=dict)


class Stage(Protocol):
    """A stage module."""

    def reads(self, options: StageOptions | None) -> Reads:
        """What the stage depends on with these options."""

    def run(self, options: StageOptions | None, context: Context, folder: Path) -> Outcome:
        """Writes the stage's model, and what belongs to it, into `folder`."""


def stage(name: str) -> Stage:
    """The stage of this name, as in deploy.yaml."""
    return cast(Stage, importlib.import_module(f"snapq.stages.{name}"))
