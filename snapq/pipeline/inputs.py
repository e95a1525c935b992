"""What a run needs before its first stage: devices, shapes, data, the boundary."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from snapq.config import (
    DataSource,
    DeployConfig,
    Io,
    PackageConfig,
    PrepareConfig,
    Preprocess,
    PruneConfig,
    QuantizeConfig,
)
from snapq.devices import profiles
from snapq.devices.profiles import DeviceProfile
from snapq.errors import ConfigError, DeviceError, did_you_mean, warn_renamed
from snapq.evaluation.datasets import Dataset, image_input, open_dataset
from snapq.evaluation.metrics import metrics
from snapq.evaluation.rows import in_batches, one_row
from snapq.evaluation.stateful import open_stateful
from snapq.evaluation.tail import tail_inputs_apart
from snapq.graph import boundary, classical, io, shapes
from snapq.graph.boundary import Boundary
from snapq.graph.cutting import open_given
from snapq.graph.passes.order import OLD_NAMES
from snapq.graph.passes.run import skipped_names
from snapq.graph.shapes import TensorSpec
from snapq.graph.weights import check_weights
from snapq.pipeline.classical import Classical, arranged, refuse_classical_stages
from snapq.pipeline.first_score import score_first, score_first_rows
from snapq.pipeline.gate_names import check_gate_names
from snapq.precision import precision_name
from snapq.quantization.existing_qdq.strip import is_quantized
from snapq.quantization.tuning.algorithms.base import FORMER_NAMES, algorithm
from snapq.stages.base import Input, stage
from snapq.stages.package.application import read_labels
from snapq.stages.prune_trees import check_rows
from snapq.storage import fingerprint, sha256_file


@dataclass(frozen=True)
class Setting:
    """Everything that the stages and the proof of a run share.

    Attributes:
        config: the resolved deploy.yaml.
        devices: profiles of the devices.
        inputs: the model's inputs, frozen; of one that is cut, those of the part in front.
        boundary: what the package takes and gives.
        calibration: samples for calibration, or None.
        training: samples for training; the calibration samples where the YAML gives none.
        evaluation: samples for the proof; the calibration samples where the YAML gives none.
        source_sha256: hash of the model file and its external data.
        quantized: whether the model as given has Q/DQ or integer operators.
        named_devices: profiles of devices that options of stages name.
        tail_inputs: of a model that is cut, the inputs that only the tail takes.
        classical: what is to be known of a classical model; None of a network.
    """

    config: DeployConfig
    devices: tuple[DeviceProfile, ...]
    inputs: tuple[TensorSpec, ...]
    boundary: Boundary
    calibration: Dataset | None
    training: Dataset | None
    evaluation: Dataset | None
    source_sha256: str
    quantized: bool = False
    named_devices: tuple[DeviceProfile, ...] = ()
    tail_inputs: tuple[TensorSpec, ...] = ()
    classical: Classical | None = None

    @property
    def repairs(self) -> bool:
        """Whether a model that came quantized is repaired although the YAML does not say so."""
        named = {item.name for item in self.config.stages}
        return self.quantized and not named & {"quantize", "repair"}

    @property
    def random_inputs(self) -> bool:
        """Whether any result rests on random inputs."""
        used = (self._fitted, self.training, self.evaluation)
        return any(data is not None and data.random for data in used)

    @property
    def _fitted(self) -> Dataset | None:
        """The samples that the model is calibrated or pruned on: trees need none for integers."""
        pruned = any(isinstance(item.options, PruneConfig) for item in self.config.stages)
        exact = self.classical is not None and self.classical.trees and not pruned
        return None if exact else self.calibration


def load_setting(config: DeployConfig, *, random_inputs: bool = False) -> Setting:
    """Reads and checks everything that a run needs, before any work is done.

    Args:
        config: the resolved deploy.yaml.
        random_inputs: use random inputs where the YAML names no data.

    Raises:
        ConfigError: data is missing, or two keys contradict each other.
        DeviceError: a target is unknown or lacks the precision.
        ModelError: the model cannot be read or frozen.
        DataError: the data does not fit the model.
    """
    check_names(config)
    devices = tuple(profiles.find(name) for name in config.devices)
    named = tuple(
        profiles.find(item.options.target.device)
        for item in config.stages
        if isinstance(item.options, PruneConfig) and item.options.target is not None
        if item.options.target.device is not None
    )
    loaded = io.load(config.model.path)
    io.refuse_compiled(loaded, config.model.path)
    if classical.is_classical(loaded):
        return _classical_setting(config, loaded, devices, random_inputs)
    refuse_classical_stages(config)
    check_weights(loaded)
    asked = config.model
    found = open_given(asked.path, asked.inputs, asked.outputs, loaded)
    model = found.model
    quantized = is_quantized(model)
    check_precision(config, devices, quantized=quantized)
    _check_labels(config, model)
    inputs, tail_inputs = shapes.input_specs(model), found.tail_inputs
    if config.metric is not None and not isinstance(config.metric, str):
        _check_outputs(config.metric, found.outputs)
    front = (str(value.name) for value in model.graph.outputs)
    check_gate_names(config, devices, tuple(dict.fromkeys((*found.outputs, *front))))
    calibration, evaluation = _sources(config, random_inputs)
    plan = boundary.plan(
        inputs,
        config.io,
        _preprocess(inputs, calibration, config.data.training, evaluation),
        foldable=not quantized,
        ids=boundary.only_looked_up(model) - _states(calibration, evaluation),
    )

    def opened(source: DataSource | None, key: str, *, labelled: bool = False) -> Dataset | None:
        def plain(source: DataSource, inputs: Sequence[TensorSpec]) -> Dataset:
            # Images feed one input, and of what calibrates the tail sees nothing.
            more = () if source.images is not None and not labelled else tail_inputs
            data = open_dataset(source, (*inputs, *more), base=config.folder, labelled=labelled)
            return tail_inputs_apart(data, more)

        if source is None:
            return None
        if source.state is not None:
            return open_stateful(source, model, f"data.{key}", plain)
        return plain(source, inputs)

    samples = opened(calibration, "calibration")
    proof = opened(evaluation, "evaluation", labelled=config.metric is not None)
    if proof is not None and config.metric is not None:
        score_first(found, proof, metrics(config.metric, config.folder))
    trains = any(
        Input.TRAINING in stage(item.name).reads(item.options).all for item in config.stages
    )
    return Setting(
        config=config,
        devices=devices,
        inputs=inputs,
        boundary=plan,
        calibration=samples,
        training=(opened(config.data.training, "training") or samples) if trains else None,
        evaluation=proof or samples,
        source_sha256=_fingerprint(config.model.path),
        quantized=quantized,
        named_devices=named,
        tail_inputs=tail_inputs,
    )


def _classical_setting(
    given: DeployConfig,
    loaded: ir.Model,
    devices: tuple[DeviceProfile, ...],
    random_inputs: bool,
) -> Setting:
    """The setting of a classical model, whose samples are rows of a table.

    Raises:
        ConfigError, DeviceError, ModelError, DataError: as `load_setting`.
    """
    classical.refuse_cut(given.model.outputs)
    if given.io != Io():
        raise ConfigError(
            "The package of a classical model takes and gives what its head and tail do.",
            where="io",
            hint="Leave `io` out.",
        )
    frozen = loaded.clone()
    classical.fix_rows(frozen, given.model.inputs)
    inputs = shapes.input_specs(frozen)
    rows = classical.rows_at_once(inputs)
    config, facts = arranged(given, frozen, rows, devices)
    if not facts.trees:
        check_precision(config, devices)
    if config.metric is not None and not isinstance(config.metric, str):
        _check_outputs(config.metric, [str(value.name) for value in frozen.graph.outputs])
    check_gate_names(config, devices, [str(value.name) for value in frozen.graph.outputs])
    calibration, evaluation = config.data.calibration, config.data.evaluation
    if not facts.trees and not facts.brings_rows:
        put_in = all(item.name != "quantize" for item in given.stages)
        calibration, evaluation = _sources(config, random_inputs, rows=True, put_in=put_in)
    elif random_inputs and evaluation is None:
        calibration = calibration or DataSource(random=True, samples=rows, seed=config.seed)

    def opened(source: DataSource | None, *, labelled: bool = False) -> Dataset | None:
        if source is None:
            return None
        single = one_row(inputs)
        return in_batches(open_dataset(source, single, base=config.folder, labelled=labelled), rows)

    samples = opened(calibration)
    if any(isinstance(item.options, PruneConfig) for item in config.stages):
        check_rows(frozen, samples)
    proof = opened(evaluation, labelled=config.metric is not None)
    if proof is not None and config.metric is not None:
        score_first_rows(frozen, proof, metrics(config.metric, config.folder))
    return Setting(
        config=config,
        devices=devices,
        inputs=inputs,
        boundary=boundary.plan(inputs, config.io, {}),
        calibration=samples,
        training=None,
        evaluation=proof or samples,
        source_sha256=_fingerprint(config.model.path),
        classical=facts,
    )


def _states(*sources: DataSource | None) -> frozenset[str]:
    """Inputs that take an output of the step before, whose type they keep."""
    held = (source.state or {} for source in sources if source is not None)
    return frozenset(name for state in held for name in state.values())


def _check_outputs(metrics: Mapping[str, str], outputs: Sequence[str]) -> None:
    for name in metrics:
        if name not in outputs:
            raise ConfigError(
                f"The model has no output '{name}'.",
                where="metric",
                hint=did_you_mean(name, outputs, f"It has {', '.join(outputs)}."),
            )


def check_names(config: DeployConfig) -> None:
    """Refuses passes and algorithms that do not exist, before any work.

    Raises:
        ConfigError: there is none of that name.
    """
    for item in config.stages:
        if isinstance(item.options, PrepareConfig):
            skipped_names(item.options.skip)
            for name in filter(OLD_NAMES.__contains__, item.options.skip):
                warn_renamed(name, OLD_NAMES[name])
        if isinstance(item.options, QuantizeConfig):
            for name in item.options.algorithms or ():
                algorithm(FORMER_NAMES.get(name, name))


def _check_labels(config: DeployConfig, model: ir.Model) -> None:
    """Refuses a file of labels that the package stage would refuse at the end of the run."""
    for item in config.stages:
        if isinstance(item.options, PackageConfig) and item.options.labels is not None:
            read_labels(item.options.labels, model)


def check_precision(
    config: DeployConfig, devices: Sequence[DeviceProfile], *, quantized: bool = False
) -> None:
    """Refuses a precision that a target lacks, before any work.

    Args:
        config: the resolved deploy.yaml.
        devices: profiles of the devices.
        quantized: whether the model came quantized, at a precision of its own.

    Raises:
        DeviceError: a target lacks it; the target and what it has are named.
    """
    wanted = [
        precision_of(item.options)
        for item in config.stages
        if isinstance(item.options, QuantizeConfig) and item.options.encodings is None
    ]
    named = any(isinstance(item.options, QuantizeConfig) for item in config.stages)
    if not named and not quantized and any(item.name == "package" for item in config.stages):
        wanted = ["fp16"]
    for device in devices:
        for precision in wanted:
            if precision not in device.precisions:
                raise DeviceError(
                    f"{device.name} (v{device.architecture}) cannot run {precision}.",
                    where="devices",
                    hint=f"It has {', '.join(device.precisions)}. "
                    f"{'Change the' if named else 'Put in a'} quantize stage, or leave this "
                    "target to a deploy.yaml of its own.",
                )


def precision_of(options: QuantizeConfig) -> str:
    """The precision that quantize options give, such as `w8a16`."""
    return precision_name(options.weights, options.activations)


def _sources(
    config: DeployConfig, random_inputs: bool, *, rows: bool = False, put_in: bool = False
) -> tuple[DataSource | None, DataSource | None]:
    """The calibration and evaluation sources, with random inputs where the user asked for them.

    Args:
        config: the resolved deploy.yaml.
        random_inputs: whether random inputs stand for samples that are not given.
        rows: whether samples are rows of a table, as classical models take them.
        put_in: whether the quantize stage, if there is one, is none that the user wrote.
    """
    calibration, evaluation = config.data.calibration, config.data.evaluation
    if calibration is None and random_inputs:
        calibration = DataSource(random=True, samples=8, seed=config.seed)
    if calibration is not None:
        return calibration, evaluation
    for item in config.stages:
        needed = stage(item.name).reads(item.options).needed
        if Input.CALIBRATION in needed:
            added = put_in and item.name == "quantize"
            why = ", which is put in for a device without fp16," if added else ""
            named = (
                "some hundreds of rows: `calibration: {table: train.csv, label: target}`"
                if rows
                else "32 to 128 of them with images:, arrays: or python:"
            )
            raise ConfigError(
                f"The {item.name} stage{why} needs samples that look like the model's real inputs.",
                where="data.calibration",
                hint=f"Name {named}. To try things out without data: --random-inputs.",
            )
        if Input.TRAINING in needed and config.data.training is None:
            raise ConfigError(
                f"The {item.name} stage needs training samples.",
                where="data.training",
                hint="Name some hundreds with images:, arrays: or python:; labels are not needed. "
                "To try things out without data: --random-inputs.",
            )
    return calibration, evaluation


def _preprocess(inputs: Sequence[TensorSpec], *sources: DataSource | None) -> dict[str, Preprocess]:
    """Preprocessing of each image input; all data must agree on it."""
    found: dict[str, Preprocess] = {}
    for source in sources:
        if source is None or source.images is None:
            continue
        name = image_input(source, inputs).name
        preprocess = source.preprocess or Preprocess()
        if found.setdefault(name, preprocess) != preprocess:
            raise ConfigError(
                "Calibration, training and evaluation prepare their images differently.",
                where="data.evaluation.preprocess",
                hint="Use the same preprocess for all (a YAML anchor says it once).",
            )
    return found


def _fingerprint(path: Path) -> str:
    """SHA-256 over the model file and the files of its external data, small ones as well."""
    return fingerprint([sha256_file(file) for file in io.files(path)])


def command_line() -> tuple[str, ...]:
    """The command that started this process, for the provenance of a run."""
    name = Path(sys.argv[0]).name
    return ("snapq" if name == "__main__.py" else name, *sys.argv[1:])
