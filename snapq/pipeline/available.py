"""What the stages and the evidence of a run can read, and what each input counts by in a key.

Models count by their bytes, data sets by their contents, functions of the user's own by the source
of their modules, devices by all their facts, options by their values and by the contents of files
that they name. This is the only place that says so: a stage or a kind of evidence declares its
inputs, and is handed them and keyed by them from here.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from snapq.benchmarking.history.calibrated import own_measurements
from snapq.bundle import TAIL
from snapq.classical.host import (
    OWN_ROWS,
    HostFile,
    encoded,
    encoded_sample,
    for_calibration,
)
from snapq.config import Io, IoDtype, PackageConfig, QuantizeConfig
from snapq.devices.profiles import DeviceProfile, nearest_with_estimate
from snapq.errors import DeviceError
from snapq.evaluation.functions import source_fingerprint
from snapq.evaluation.metrics import metrics
from snapq.evaluation.samples import Dataset, Sample, update_digest
from snapq.evaluation.tail import TailFile
from snapq.graph import boundary, io
from snapq.graph.shapes import input_specs
from snapq.pipeline.cache import Cache
from snapq.pipeline.inputs import Setting
from snapq.precision import ActivationType
from snapq.stages.artifact import MODEL, Artifact
from snapq.stages.base import Input, Reads, Source
from snapq.stages.package.build import MENDED
from snapq.stages.package.stage import BUNDLE, Packaged
from snapq.storage import sha256_file

SOURCE = "source"
"""The step that writes the model as given."""
EXAMPLES = 4
"""Samples on which single layers are compared."""


@dataclass(frozen=True)
class Fact:
    """The value of an input, and what it counts by: a JSON value that changes when it does."""

    value: Callable[[], Any]
    mark: Callable[[], Any]


@dataclass(frozen=True)
class StepModel:
    """One model on the way.

    Attributes:
        index: of its stage.
        stage: name of its stage.
        label: what was done last.
        model: the ONNX file.
        precision: `float`, or weights and activations.
        changes: whether the stage changes what the model computes.
    """

    index: int
    stage: str
    label: str
    model: Path
    precision: str
    changes: bool


class Available:
    """The inputs of a run at one point of it; what is not among them is None.

    Args:
        facts: by input.
    """

    def __init__(self, facts: Mapping[Input, Fact]) -> None:
        self._facts = dict(facts)

    def values(self, reads: Reads) -> dict[Input, Any]:
        """The values of the declared inputs that the run has."""
        return {item: self._facts[item].value() for item in reads.all if item in self._facts}

    def key(self, kind: str, reads: Reads, options: BaseModel | None = None) -> str:
        """Hash of the declared inputs, of the options, of snapq's code and of the tools."""
        marks = {str(item): self._facts[item].mark() for item in reads.all if item in self._facts}
        return Cache.key(kind, options=options_mark(options), inputs=marks)

    def has(self, reads: Reads) -> bool:
        """Whether everything is there that cannot be done without."""
        return all(item in self._facts for item in reads.needed)

    def for_devices(self, devices: tuple[DeviceProfile, ...], setting: Setting) -> Available:
        """The same for some devices of the run."""
        fact = known(devices, _facts_of(devices, setting))
        return Available({**self._facts, Input.DEVICES: fact})

    def with_bundle(self, bundle: Path) -> Available:
        """The same with the bundle in another place."""
        if Input.PACKAGE not in self._facts:
            return self
        fact = self._facts[Input.PACKAGE]
        package = Fact(lambda: (fact.value()[0], bundle), fact.mark)
        return Available({**self._facts, Input.PACKAGE: package})

    def unpackaged(self) -> Available:
        """The same as if nothing were packaged."""
        return Available({i: fact for i, fact in self._facts.items() if i is not Input.PACKAGE})

    def in_float(self) -> Available:
        """The same as if what the last stage left went to the NPU in float."""
        fact = self._facts[Input.PREVIOUS]
        source = replace(fact.value(), precision="fp16")
        return Available({**self._facts, Input.QUANTIZED: known(source, [fact.mark(), "fp16"])})

    def with_evaluation(self, data: Dataset, source_sha256: str) -> Available:
        """The same with other samples for the proof."""
        return Available({**self._facts, Input.EVALUATION: _dataset(data, source_sha256)})

    def after(self, index: int, name: str, artifact: Artifact) -> Available:
        """What there is behind a stage."""
        mark = [name, artifact.sha256, artifact.precision]
        fact = known(Source(artifact.model, artifact.precision, artifact.folder), mark)
        facts = {**self._facts, Input.PREVIOUS: fact}
        if name == SOURCE:
            facts[Input.GIVEN] = fact
            if (artifact.folder / TAIL).is_file():
                outputs = tuple(artifact.record.details["tail_outputs"])
                facts[Input.TAIL] = known(TailFile(artifact.folder / TAIL, outputs), mark)
        elif name == "prepare":
            facts[Input.ORIGINAL] = fact
        elif name == "lower":
            facts = _lowered(self._facts, artifact, mark)
        if name == "package":
            bundle = artifact.folder / BUNDLE
            package = Fact(lambda: (Packaged.read(artifact.folder), bundle), lambda: mark)
            facts[Input.PACKAGE] = package
            mended = artifact.folder / MENDED
            if Input.QUANTIZED in facts and (mended / MODEL).is_file():  # what is in the bundle
                facts[Input.QUANTIZED] = known(
                    Source(mended / MODEL, artifact.precision, mended), [*mark, MENDED]
                )
        elif name != SOURCE:
            facts[Input.STEPS] = _with_steps(facts.get(Input.STEPS), index, name, artifact)
            item = Input.FLOAT if artifact.precision == "float" else Input.QUANTIZED
            facts[item] = fact
        return Available(facts)


def available(setting: Setting) -> Available:
    """What a run can read before its first stage."""
    config = setting.config
    options = [item.options for item in config.stages]
    package = next((item for item in options if isinstance(item, PackageConfig)), PackageConfig())
    quantize = next((item for item in options if isinstance(item, QuantizeConfig)), None)
    nodes = config.gates.npu_nodes
    # The gate itself judges device by device.
    shares = (*nodes.values(),) if isinstance(nodes, dict) else (nodes,)
    share = min(1.0 if one in (None, "all") else float(one) for one in shares)
    shapes, cut = config.model.inputs, config.model.outputs
    facts = {
        Input.MODEL: known((config.model.path, shapes, cut), [setting.source_sha256, shapes, cut]),
        Input.BOUNDARY: known(setting.boundary, setting.boundary.to_json()),
        Input.DEVICES: known(setting.devices, _facts_of(setting.devices, setting)),
        Input.SEED: known(config.seed),
        Input.METRICS: Fact(  # made anew each time that it is called
            lambda: functools.partial(metrics, config.metric, config.folder),
            lambda: _sources(setting),
        ),
        Input.OPTIMIZATION_MODES: known(package.optimization_modes),
        Input.THIN_STRIDES: known(package.thin_strides),
        Input.NPU_SHARE: known(share),
        Input.RANDOM: known(setting.random_inputs),
    }
    for item, data in (
        (Input.CALIBRATION, setting.calibration),
        (Input.TRAINING, setting.training),
        (Input.EVALUATION, setting.evaluation),
    ):
        if data is not None:
            facts[item] = _dataset(data, setting.source_sha256)
    if setting.evaluation is not None:
        facts[Input.GOLDEN] = _first(setting.evaluation, package.golden_samples)
        facts[Input.EXAMPLES] = _first(setting.evaluation, EXAMPLES)
    if state := next(
        (data.state for data in (setting.evaluation, setting.calibration) if data), None
    ):
        facts[Input.STATE] = known(dict(state))
    if quantize is not None:
        facts[Input.QUANTIZE] = known(quantize, options_mark(quantize))
    if config.own_measurements:
        target = None if config.benchmark is None else config.benchmark.target
        names = tuple(device.name for device in setting.devices)
        facts[Input.OWN_MEASUREMENTS] = _own_measurements(names, target)
    if config.benchmark is not None:
        facts[Input.BENCHMARK] = known(config.benchmark, config.benchmark.model_dump(mode="json"))
    return Available(facts)


def _own_measurements(devices: tuple[str, ...], target: str | None) -> Fact:
    """What the history says of predictions; it is read when something is predicted."""
    found = functools.cache(lambda: own_measurements(devices, target))
    return Fact(found, lambda: asdict(found()))


def known(value: Any, mark: Any = None) -> Fact:
    """A fact that costs nothing to look up; it counts by itself where no mark is given."""
    return Fact(lambda: value, lambda: value if mark is None else mark)


def options_mark(options: BaseModel | None) -> Any:
    """Values of options; files that they name count by name and content. Raises `StorageError`."""
    return None if options is None else _marked(options.model_dump())


def _marked(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _marked(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_marked(item) for item in value]
    if isinstance(value, Path):
        return [value.name, sha256_file(value)]
    return value


def _dataset(data: Dataset, source_sha256: str) -> Fact:
    """A data set counts by its contents, and by the words that records use of it."""

    @functools.cache
    def mark() -> Any:
        # The model as given makes the states that its samples begin with.
        model = source_sha256 if data.state else None
        return [data.fingerprint(), data.description, data.random, model]

    return Fact(lambda: data, mark)


def _first(data: Dataset, count: int) -> Fact:
    """The first samples of a data set; their labels do not count."""

    @functools.cache
    def samples() -> tuple[Sample, ...]:
        return tuple(islice(data, count))

    def mark() -> Any:
        return [_sample_mark(sample) for sample in samples()]

    return Fact(samples, functools.cache(mark))


def _sample_mark(sample: Sample) -> str:
    digest = hashlib.sha256()
    for arrays in (sample.feeds, sample.frames, sample.beside):
        for name, array in sorted(arrays.items()):
            digest.update(name.encode())
            update_digest(digest, array)
    return digest.hexdigest()


def _with_steps(before: Fact | None, index: int, name: str, artifact: Artifact) -> Fact:
    """The models of earlier stages and of this one."""
    changed = artifact.record.changed
    models = [
        StepModel(index, name, label, artifact.folder / file, artifact.precision, bool(changed))
        for label, file in (changed or {name: MODEL}).items()
    ]
    mark = [name, artifact.sha256, artifact.precision, list(changed)]
    earlier, marks = (before.value(), before.mark()) if before is not None else ((), [])
    return known((*earlier, *models), [*marks, mark])


def _lowered(before: Mapping[Input, Fact], artifact: Artifact, mark: Any) -> dict[Input, Fact]:
    """What there is behind the lower stage: samples and boundary are those of the NPU's part."""
    facts = dict(before)
    facts[Input.WHOLE] = before[Input.PREVIOUS]
    part = known(Source(artifact.model, artifact.precision, artifact.folder), mark)
    facts[Input.GIVEN] = facts[Input.PREVIOUS] = part
    file = HostFile(artifact.folder, artifact.record.details["rows"])
    facts[Input.HOST] = known(file, mark)
    for item in (Input.STEPS, Input.FLOAT):  # these take rows, not what the head makes of them
        facts.pop(item, None)
    if Input.EVALUATION in facts:
        facts[Input.EVALUATION] = _made_of(
            facts[Input.EVALUATION], lambda data: encoded(data, file), mark
        )
    given = facts.get(Input.CALIBRATION, known(None))
    quantize = facts[Input.QUANTIZE].value() if Input.QUANTIZE in facts else None
    wide = quantize is not None and quantize.activations is ActivationType.UINT16
    if given.value() is not None or (artifact.folder / OWN_ROWS).is_file():
        facts[Input.CALIBRATION] = _made_of(
            given, lambda data: for_calibration(data, file, wide=wide), [mark, wide]
        )
    for item in (Input.GOLDEN, Input.EXAMPLES):
        if item in facts:
            facts[item] = _made_of(
                facts[item],
                lambda samples: tuple(encoded_sample(one, file.host) for one in samples),
                mark,
            )
    codes = None if artifact.precision == "float" else IoDtype.QUANTIZED
    plan = boundary.plan(input_specs(io.load(artifact.model)), Io(dtype=codes), {})
    facts[Input.BOUNDARY] = known(plan, plan.to_json())
    return facts


def _made_of(fact: Fact, change: Callable[[Any], Any], mark: Any) -> Fact:
    """A fact that is made of another one by the artifact of this mark."""
    return Fact(lambda: change(fact.value()), lambda: [fact.mark(), mark])


def _facts_of(devices: tuple[DeviceProfile, ...], setting: Setting) -> list[dict[str, Any]]:
    """All facts of the devices, of those that options name, and of those that stand for them."""
    asked = (*devices, *setting.named_devices)
    return [asdict(device) for device in (*asked, *map(_stands_for, asked)) if device is not None]


def _stands_for(device: DeviceProfile) -> DeviceProfile | None:
    try:
        return nearest_with_estimate(device)
    except DeviceError:
        return None


def _sources(setting: Setting) -> Any:
    """The metrics' names, and the source of those that are the user's own functions."""
    named = setting.config.metric
    names = [named] if isinstance(named, str) else list((named or {}).values())
    own = {name: source_fingerprint(name, setting.config.folder) for name in names if ":" in name}
    return [named, own]
