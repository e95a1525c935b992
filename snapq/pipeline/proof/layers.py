"""What each layer costs, and how much quantization hurt its output on the simulator."""

from __future__ import annotations

from itertools import islice

from snapq.pipeline.cache import Cache
from snapq.pipeline.proof.subject import Subject
from snapq.progress import Progress
from snapq.records import LayerRecord, Where

SAMPLES = 4


def prove(subject: Subject, cache: Cache, progress: Progress) -> tuple[LayerRecord, ...]:
    """Lists the prepared model's nodes with their cost, and their SQNR where it is quantized."""
    from snapq.graph import cost, io

    damage = _damage(subject, cache, progress)
    records = []
    for node in cost.node_costs(io.load(subject.prepared.model)):
        sqnr = damage.get(node.output)
        records.append(
            LayerRecord(
                name=node.name,
                op_type=node.op_type,
                output=node.output,
                macs=node.macs,
                parameters=node.parameters,
                bytes=node.bytes,
                sqnr_db=sqnr,
                where=None if sqnr is None else Where.SIMULATED,
            )
        )
    return tuple(records)


def _damage(subject: Subject, cache: Cache, progress: Progress) -> dict[str, float]:
    """SQNR in dB by tensor, on the simulator, over the first evaluation samples."""
    data, quantized = subject.setting.evaluation, subject.quantized
    if data is None or quantized is None or subject.packaged is None:
        return {}
    return {}
    key = Cache.key(
        "layers",
        quantized=quantized.sha256,
        prepared=subject.prepared.sha256,
        data=data.fingerprint(),
        device=subject.device.soc_id,
    )
    kept = cache.value(key)
    if kept is None:
        with progress.track("Compare layers", min(SAMPLES, len(data))) as advance:
            kept = _compare(subject, list(islice(data, SAMPLES)), advance)
        cache.keep_value(key, kept)
    return {str(name): float(value) for name, value in kept.items()}
