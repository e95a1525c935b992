"""What each layer costs, and how much quantization hurt its output on the simulator."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.errors import SnapqError
from snapq.pipeline.cache import Cache
from snapq.pipeline.evidence.subject import Subject
from snapq.progress import Advance, Progress
from snapq.records import LayerRecord, Where

if TYPE_CHECKING:
    from snapq.evaluation.samples import Sample

SAMPLES = 4


@dataclass(frozen=True)
class Layers:
    """The layers of a run, and why their SQNR is missing."""

    records: tuple[LayerRecord, ...]
    notes: tuple[str, ...] = ()


def prove(subject: Subject, cache: Cache, progress: Progress) -> Layers:
    """Lists the last float model's nodes with their cost, and their SQNR where it is quantized."""
    from snapq.graph import cost, io

    data = subject.setting.evaluation
    samples = min(SAMPLES, len(data)) if data is not None else 0
    notes: tuple[str, ...] = ()
    if not subject.aligned:
        notes = ("No SQNR of single layers: the quantized model was cut, the float one was not.",)
    try:
        damage = _damage(subject, samples, cache, progress)
    except SnapqError as error:  # the layers are extra: giving all of them out can be too much
        damage, notes = {}, (f"No SQNR of single layers: {error}",)
    records = tuple(
        LayerRecord(
            name=node.name,
            op_type=node.op_type,
            output=node.output,
            macs=node.macs,
            parameters=node.parameters,
            bytes=node.bytes,
            sqnr_db=damage.get(node.output),
            samples=samples if node.output in damage else None,
            where=Where.SIMULATED if node.output in damage else None,
        )
        for node in cost.node_costs(io.load(subject.floats.model))
    )
    return Layers(records, notes)


def _damage(subject: Subject, samples: int, cache: Cache, progress: Progress) -> dict[str, float]:
    """SQNR in dB by tensor, on the simulator, over the first evaluation samples."""
    data, quantized = subject.setting.evaluation, subject.quantized
    if data is None or quantized is None or subject.packaged is None or not subject.aligned:
        return {}
    key = Cache.key(
        "layers",
        quantized=quantized.sha256,
        floats=subject.floats.sha256,
        data=data.fingerprint(),
        samples=samples,
        device=subject.device.soc_id,
    )
    kept = cache.value(key)
    if kept is None:
        with progress.track("Compare layers", samples) as advance:
            kept = _compare(subject, list(islice(data, samples)), advance)
        cache.keep_value(key, kept)
    return {str(name): float(value) for name, value in kept.items()}


def _compare(subject: Subject, samples: Sequence[Sample], advance: Advance) -> dict[str, float]:
    """Runs both models with their intermediate tensors as outputs, a sample at a time."""
    from snapq.cpu import CpuModel
    from snapq.graph import boundary, io
    from snapq.npu.qnn.options import CompileOptions
    from snapq.npu.qnn.simulate import simulate
    from snapq.quantization.analysis import fidelity

    assert subject.quantized is not None
    plan = subject.setting.boundary
    floats = boundary.fold_normalization(io.load(subject.floats.model), plan)
    quantized = io.load(subject.quantized.model)
    layers = fidelity.layer_outputs(floats, quantized)
    meter = fidelity.SqnrMeter(layers)
    names = [layer.tensor for layer in layers]
    if not layers:  # the whole model stays in float, as that is faster
        return {}
    with tempfile.TemporaryDirectory(prefix="snapq-") as folder:
        path = Path(folder) / "layers.onnx"
        io.save(fidelity.expose_quantized(quantized, layers), path)
        reference = CpuModel(fidelity.expose_float(floats, layers))
        options = CompileOptions(fp16="fp16" in subject.device.precisions)
        feeds = [plan.model_feeds(sample) for sample in samples]
        outputs = simulate(path, subject.device, feeds, options=options, progress=advance)
        for feed, found in zip(feeds, outputs, strict=True):
            meter.update(reference.run(feed, names), found)
    return meter.values()
