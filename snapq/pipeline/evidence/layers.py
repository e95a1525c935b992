"""What each layer costs, its share of the estimate, and what quantization did to its output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from snapq.cpu import CpuModel
from snapq.devices.profiles import nearest_with_estimate
from snapq.errors import SnapqError
from snapq.evaluation.samples import Sample
from snapq.evaluation.sqnr import SqnrMeter
from snapq.graph import boundary, cost, io
from snapq.npu.memory import Memory
from snapq.npu.model import Model
from snapq.pipeline.evidence.base import Evidence, Found, Subject
from snapq.progress import Advance
from snapq.quantization.analysis import fidelity
from snapq.quantization.calibration.calibrate import expose
from snapq.records import Figures, LayerRecord, Origin
from snapq.stages.base import Input, Reads


def gather(subject: Subject) -> Found:
    """Lists the last float model's nodes with their cost, and their SQNR where it is quantized."""
    floats = subject.float_model
    assert floats is not None
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    if _cut_when_quantized(subject):
        notes = ("No SQNR of single layers: the quantized model was cut, the float one was not.",)
    try:
        damage = _damage(subject)
    except SnapqError as error:  # the layers are extra: giving all of them out can be too much
        damage, notes = {}, (f"No SQNR of single layers: {error}",)
        failures = notes if error.transient else ()
    try:
        times, timed_on = _times(subject)
    except SnapqError as error:
        times, timed_on = {}, None
        notes += (f"No estimated time of single layers: {error}",)
        failures += notes[-1:] if error.transient else ()
    records = tuple(
        LayerRecord(
            name=node.name,
            op_type=node.op_type,
            output=node.output,
            macs=node.macs,
            parameters=node.parameters,
            bytes=node.bytes,
            sqnr_db=damage.get(node.output),
            samples=len(subject.examples) if node.output in damage else None,
            where=Origin.SIMULATED if node.output in damage else None,
            us=times.get(node.name),
            timed_on=timed_on,
            reads=node.reads,
        )
        for node in cost.node_costs(io.load(floats.model))
    )
    return Found(Figures(layers=records), notes, failures)


def _cut_when_quantized(subject: Subject) -> bool:
    """Whether tensors of the quantized model may be smaller than those of the float one."""
    return any(step.stage == "prune" and step.precision != "float" for step in subject.steps)


def _times(subject: Subject) -> tuple[Mapping[str, float], str | None]:
    """Microseconds by node of what is packaged for the first device, and whose estimate it is."""
    made = subject.quantized or subject.float_model
    if made is None or subject.packaged is None:
        return {}, None
    model = io.load(made.model)
    if subject.quantized is None:
        model = boundary.fold_normalization(model, subject.plan)
    packaged = boundary.apply(model, subject.plan).model
    device = nearest_with_estimate(subject.device)
    with subject.progress.track("Estimate layers"):
        found = Model(packaged, device, memory=Memory(subject.memo)).estimate_nodes()
    scale = found.total.precise_us / found.total.cycles if found.total.cycles else 0.0
    return {name: cycles * scale for name, cycles in found.cycles.items()}, device.name


def _damage(subject: Subject) -> dict[str, float]:
    """SQNR in dB by tensor, on the simulator, over the first evaluation samples."""
    if subject.quantized is None or subject.packaged is None or _cut_when_quantized(subject):
        return {}
    with subject.progress.track("Compare layers", len(subject.examples)) as advance:
        return _compare(subject, subject.examples, advance)


def _compare(subject: Subject, samples: Sequence[Sample], advance: Advance) -> dict[str, float]:
    """Runs both models with their intermediate tensors as outputs, a sample at a time."""
    assert subject.quantized is not None
    assert subject.float_model is not None
    plan = subject.plan
    floats = boundary.fold_normalization(io.load(subject.float_model.model), plan)
    quantized = io.load(subject.quantized.model)
    layers = fidelity.layer_outputs(floats, quantized)
    names = [layer.tensor for layer in layers]
    meter = SqnrMeter(names)
    if not layers:  # the whole model stays in float, as that is faster
        return {}
    reference = CpuModel(expose(floats, names))
    exposed = Model(expose(quantized, [layer.quantized for layer in layers]), subject.device)
    feeds = [plan.model_feeds(sample) for sample in samples]
    for feed, found in zip(feeds, exposed.simulate(feeds, progress=advance), strict=True):
        meter.update(reference.run(feed, names), fidelity.read_back(layers, found))
    return meter.values()


EVIDENCE = Evidence(
    "layers",
    Reads(
        (Input.FLOAT, Input.STEPS),
        (Input.QUANTIZED, Input.PACKAGE, Input.EXAMPLES, Input.DEVICES, Input.BOUNDARY),
    ),
    gather,
)
