"""What of a model will run on the NPU, at which precision, and why the rest will not.

The answer is the execution provider's own: the prepared model is offered to it at fp16 and, with
encodings from a few random inputs, at w8a8 and w8a16. Without onnxruntime-qnn the static table of
operators answers, and the result says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snapq.api.classical_inspection import InspectedEstimator
from snapq.api.cut_proposal import ProposedCut, propose_cut
from snapq.api.placements import AskingTime, OffNpu, PrecisionPlacement
from snapq.api.public import public
from snapq.api.shared import device_argument
from snapq.config import DataSource
from snapq.devices.profiles import DeviceProfile
from snapq.errors import SnapqError
from snapq.precision import ActivationType, WeightType
from snapq.progress import Progress, Silent

if TYPE_CHECKING:
    import onnx_ir as ir

    from snapq.graph.shapes import InputShapes
    from snapq.npu.binaries import BinaryInfo

RANDOM_SAMPLES = 2
ASKING_SHARE = 2 / 3
"""Of the processor time that a model of this size may take to be read and converted."""
QUANTIZED = {"w8a8": ActivationType.UINT8, "w8a16": ActivationType.UINT16}


@dataclass(frozen=True)
class Inspection:
    """What `inspect` found."""

    model: str
    device: str
    architecture: int
    opset: int
    inputs: dict[str, list[int]]
    nodes: int
    prepared_nodes: int
    parameters: int
    macs: int
    operators: dict[str, int]
    passes: dict[str, int]
    """How often each pass of prepare applied."""
    skipped: tuple[dict[str, str], ...]
    """Nodes that a pass nearly matched, and why it left them alone: pass_name, node, reason."""
    notes: tuple[str, ...]
    placements: tuple[PrecisionPlacement, ...]
    findings: tuple[dict[str, str], ...] = ()
    """Of a model that came quantized: what breaks the provider's rules for node units."""
    cut: ProposedCut | None = None
    """Where to cut it, where not all of it can run on the NPU and a cut keeps most of its work
    there."""
    estimators: tuple[InspectedEstimator, ...] = ()
    """Of a tree ensemble, SVM or linear model."""
    advice: str = ""
    """Of such a model: whether the NPU is worth it at this many rows."""

    @property
    def rewrites(self) -> dict[str, int]:
        """The name that `passes` had in version 0.1.0."""
        return self.passes

    def to_json(self) -> dict[str, Any]:
        """The inspection as JSON values; `passes` has its old name, `rewrites`, too."""
        return {**asdict(self), "rewrites": self.rewrites}


@public
def inspect(
    model: str | Path,
    device: str | None = None,
    *,
    inputs: InputShapes | None = None,
    outputs: Sequence[str] = (),
    progress: Progress | None = None,
    target: str | None = None,
) -> Inspection:
    """Says which nodes of a model will run on the NPU, at which precision, and why others not.

    Args:
        model: path of a float ONNX model.
        device: name of a device, such as `sm8650`; must be given.
        inputs: shape of each input; needed where the model's are dynamic.
        outputs: inner tensors to cut at; what is in front of them is inspected.
        progress: progress reporter; nothing is shown where not given.
        target: former name of `device`.

    Raises:
        ModelError: the model cannot be read or frozen.
        DeviceError: the device is unknown.
    """
    from snapq.devices.profiles import find
    from snapq.graph import io
    from snapq.graph.classical import is_classical, refuse_cut
    from snapq.graph.cutting import open_given
    from snapq.graph.foreign import explaining
    from snapq.scratch import Scratch

    profile = find(device_argument(device, target))
    path = Path(model)
    given = io.load(path)
    io.refuse_compiled(given, path)
    if is_classical(given):
        refuse_cut(tuple(outputs))
        with explaining(path):
            return _classical(given, path, profile, inputs or {}, progress or Silent())
    with explaining(path), Scratch() as scratch:
        notes: tuple[str, ...] = ()
        shapes = inputs or {}
        if outputs or set(shapes) - {value.name for value in given.graph.inputs}:
            found = open_given(path, shapes, outputs)
            given, notes, shapes = found.model, found.notes, {}
        told = progress or Silent()
        inspected = _inspected(given, path, profile, shapes, told, scratch.path)
        return replace(inspected, notes=(*notes, *inspected.notes))


def _classical(
    given: ir.Model,
    path: Path,
    profile: DeviceProfile,
    inputs: InputShapes,
    progress: Progress,
) -> Inspection:
    """What a tree ensemble, SVM or linear model becomes."""
    from snapq.api.classical_inspection import advice, estimators, open_classical
    from snapq.graph import cost
    from snapq.graph.foreign import limits_of
    from snapq.graph.shapes import input_specs
    from snapq.npu.runtime import status

    opened = open_classical(given, inputs, (profile,), progress)
    part, found = opened.made.model, status()
    costs = cost.node_costs(part)
    if found.usable:
        label = "w8a8, exact" if opened.made.trees else opened.precision
        time = AskingTime(ASKING_SHARE * limits_of(part).seconds)
        placed = _place(part, profile, label, {}, time)
    else:
        placed = _ask_table(part, str(found.reason))
    listed = estimators(opened)
    lowered = sum(one.runs_on == "npu" for one in listed)
    many = "s" if lowered != 1 else ""
    note = f"{lowered} estimator{many} lowered to {len(part.graph)} NPU nodes"
    return Inspection(
        model=str(path),
        device=profile.name,
        architecture=profile.architecture,
        opset=given.opset_imports.get("", 0),
        inputs={spec.name: list(spec.shape) for spec in input_specs(opened.given)},
        nodes=len(given.graph),
        prepared_nodes=len(part.graph),
        parameters=sum(node.parameters for node in costs),
        macs=sum(node.macs for node in costs),
        operators=dict(sorted(Counter(node.op_type for node in part.graph).items())),
        passes={},
        skipped=(),
        notes=(*opened.notes, note, *opened.made.notes),
        placements=(placed,),
        estimators=listed,
        advice=advice(opened, profile) if found.usable else "",
    )


def _inspected(
    given: ir.Model,
    path: Path,
    profile: DeviceProfile,
    inputs: InputShapes,
    progress: Progress,
    folder: Path,
) -> Inspection:
    """Prepares the model in a file in `folder`, and says where its nodes run."""
    from snapq.graph import cost, io
    from snapq.graph.foreign import limits_of
    from snapq.graph.shapes import freeze, input_specs
    from snapq.npu.runtime import status
    from snapq.quantization.existing_qdq.strip import is_quantized
    from snapq.quantization.lint.run import lint
    from snapq.stages.prepare import convert

    prepared = convert(given, inputs, folder / "model.onnx")
    ready = io.load(folder / "model.onnx")
    quantized = freeze(given, inputs) if is_quantized(given) else None
    costs = cost.node_costs(ready)
    time = AskingTime(ASKING_SHARE * limits_of(given).seconds)
    ask = partial(_placements, profile, progress, time)
    as_given: tuple[PrecisionPlacement, ...] = ()
    if quantized is not None and status().usable:
        as_given = (_place(quantized, profile, "Q/DQ as given", {}, time),)
    placements = ask(ready)
    proposed = propose_cut(given, inputs, ready, placements, ask)
    return Inspection(
        model=str(path),
        device=profile.name,
        architecture=profile.architecture,
        opset=given.opset_imports.get("", 0),
        inputs={spec.name: list(spec.shape) for spec in input_specs(ready)},
        nodes=len(given.graph),
        prepared_nodes=len(ready.graph),
        parameters=sum(node.parameters for node in costs),
        macs=sum(node.macs for node in costs),
        operators=dict(sorted(Counter(node.op_type for node in ready.graph).items())),
        passes=dict(prepared.applied),
        skipped=tuple(map(asdict, prepared.skipped)),
        notes=(*prepared.notes, *_float16_notes(ready, profile)),
        placements=(*as_given, *placements),
        findings=tuple(map(asdict, lint(quantized, profile.architecture) if quantized else ())),
        cut=proposed,
    )


def _float16_notes(model: ir.Model, device: DeviceProfile) -> tuple[str, ...]:
    """What the reader should know of the model at fp16, where the device has that."""
    from snapq.graph.float16.notes import float16_notes

    if "fp16" not in device.precisions:
        return ()
    return tuple(f"At fp16: {one.text}" for one in float16_notes(model.graph))


@public
def inspect_compiled(file: str | Path) -> tuple[BinaryInfo, ...]:
    """Says what a compiled file was made for: QAIRT build, SoC, memory, inputs and outputs.

    Args:
        file: a context binary (`*_qnn.bin`), or a container of several (`.dlc`, multi-SoC `.bin`).

    Raises:
        QnnError: it is neither, or it is damaged.
        InstallError: Qualcomm's runtime is not installed.
        StorageError: it cannot be read.
    """
    from snapq.npu.binaries import inspect_binary, inspect_container, is_container

    path = Path(file)
    return inspect_container(path) if is_container(path) else (inspect_binary(path),)


def _placements(
    device: DeviceProfile, progress: Progress, time: AskingTime, model: ir.Model
) -> tuple[PrecisionPlacement, ...]:
    """Where the nodes of a model run: by the provider, or by the table where that is not there."""
    from snapq.npu.runtime import status

    found = status()
    if found.usable:
        return _ask_provider(model, device, progress, time)
    return (_ask_table(model, str(found.reason)),)


def _ask_provider(
    model: ir.Model, device: DeviceProfile, progress: Progress, time: AskingTime
) -> tuple[PrecisionPlacement, ...]:
    """Offers the model to the execution provider at every precision that the device has.

    One with shapes that depend on the data is not offered: the provider takes it apart into
    thousands of pieces, and says of each that its shape is not fixed.
    """
    import onnx_ir as ir

    from snapq.graph.shapes import static_shape
    from snapq.npu.unsupported import unsupported

    values = (value for node in model.graph for value in node.outputs if value.name)
    if any(isinstance(v.type, ir.TensorType) and static_shape(v) is None for v in values):
        return (_ask_table(model, "shapes depend on the data, and the compiler wants them fixed."),)
    hints = {item.node: item.hint for item in unsupported(model)}
    wanted = [p for p in ("fp16", *QUANTIZED) if p in device.precisions]
    found = []
    with progress.track("Ask the NPU compiler", len(wanted)) as advance:
        for precision in wanted:
            found.append(_place(model, device, precision, hints, time))
            advance(1)
    return tuple(found)


def _place(
    model: ir.Model,
    device: DeviceProfile,
    precision: str,
    hints: Mapping[str, str | None],
    time: AskingTime,
) -> PrecisionPlacement:
    """Places the model at one precision; as it is, where that is none of `QUANTIZED`."""
    from snapq.npu.model import Model

    try:
        time.require()
        with time.spending():
            offered = _offered(model, device, precision)
        time.require()
        with time.spending():
            found = Model(offered, device).place(time.left)
    except SnapqError as error:
        return PrecisionPlacement(precision, 0, len(model.graph), 0, (), str(error))
    cpu_nodes = tuple(
        OffNpu(node.name, node.op_type, node.reason or "not said", hints.get(node.name))
        for node in found.nodes
        if node.unit == "cpu"
    )
    return PrecisionPlacement(precision, found.npu, found.cpu, found.partitions, cpu_nodes)


def _offered(model: ir.Model, device: DeviceProfile, precision: str) -> ir.Model:
    """The model as a package has it at this precision."""
    from snapq.graph.float16.run import write_for_float16

    if precision in QUANTIZED:
        return _quantized(model, device, precision)
    if precision != "fp16":
        return model
    written = model.clone()
    write_for_float16(written)
    return written


def _quantized(model: ir.Model, device: DeviceProfile, precision: str) -> ir.Model:
    """The model with encodings from random inputs: placement does not depend on their values."""
    from snapq.evaluation.datasets import open_dataset
    from snapq.graph.shapes import input_specs
    from snapq.quantization.quantize import Scheme, quantize

    source = DataSource(random=True, samples=RANDOM_SAMPLES)
    data = open_dataset(source, input_specs(model), base=Path())
    scheme = Scheme(
        weights=WeightType.INT8,
        activations=QUANTIZED[precision],
        architecture=device.architecture,
        float16="fp16" in device.precisions,
    )
    return quantize(model, (sample.feeds for sample in data), scheme).model


def _ask_table(model: ir.Model, reason: str) -> PrecisionPlacement:
    """The static answer, where the execution provider is not there or cannot be asked."""
    from snapq.npu.unsupported import unsupported

    refused = unsupported(model)
    return PrecisionPlacement(
        precision="any",
        npu=len(model.graph) - len(refused),
        cpu=len(refused),
        partitions=0,
        cpu_nodes=tuple(OffNpu(i.node, i.op_type, i.reason, i.hint) for i in refused),
        remark=f"From the table of operators, not from the compiler: {reason}",
    )
