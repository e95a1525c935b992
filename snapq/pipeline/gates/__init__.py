"""Gates: the limits of a run, what was found, and whether they passed.

A gate is a function of `GATES`, named as its key in the YAML. It judges by one limit; where the
YAML gives one for each device or output, it is asked once for each, with the figures of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from snapq.config import Gates
from snapq.config.schema.gates import Percentiles
from snapq.pipeline.gates import cost, predicted, quality
from snapq.pipeline.gates.answers import fewest_by_itself, wrong_on_target
from snapq.pipeline.gates.evaluated import Evaluated, Verdict
from snapq.records import GateRecord

GATES: dict[str, Callable[[Any, Evaluated], Verdict]] = {
    "max_accuracy_drop": quality.accuracy_drop,
    "min_sqnr_db": quality.sqnr,
    "min_equal_answers": quality.equal_answers,
    "npu_nodes": cost.npu_nodes,
    "npu_matches_cpu": quality.npu_matches_cpu,
    "min_predicted_speedup": predicted.speedup,
    "max_predicted_ms": predicted.latency,
    "min_estimated_speedup": cost.estimated_speedup,
    "max_estimated_us": cost.estimate,
    "max_latency_ms": cost.latency,
    "max_instructions": cost.instructions,
    "max_bundle_mb": cost.bundle_size,
    "max_compiled_mb": cost.compiled_size,
}


def check(gates: Gates, evaluated: Evaluated) -> tuple[GateRecord, ...]:
    """Checks every gate that the YAML names. A gate without a figure to judge by has failed.

    `npu_matches_cpu` need not be named to fail, nor `min_sqnr_db` where an output is lost, nor
    `min_equal_answers` at 16 bits, nor a target that answers golden rows wrongly.
    """
    records = []
    for name, gate in GATES.items():
        wanted = getattr(gates, name)
        if name == "npu_matches_cpu":
            failed = any(record.failed for record in evaluated.figures.agreement)
            wanted = wanted or (True if wanted is None and failed else None)
        if name == "min_equal_answers" and wanted is None:
            wanted = fewest_by_itself(evaluated.figures.answers, evaluated.precision)
        for title, one, scope in _asked(name, wanted, evaluated):
            limit, found, passed = gate(one, scope)
            records.append(GateRecord(name=title, limit=limit, found=found, passed=passed))
    lost = quality.lost_by_itself(evaluated) if gates.min_sqnr_db is None else ()
    return (*records, *lost, *wrong_on_target(evaluated.figures.benches))


def _asked(name: str, wanted: Any, evaluated: Evaluated) -> Iterator[tuple[str, Any, Evaluated]]:
    """A gate's name, its limit, and what it is to look at: once, or once for each name."""
    if wanted is None:
        return
    if isinstance(wanted, Percentiles):
        for percentile, limit in wanted.given.items():
            yield f"{name}.{percentile}", (percentile, limit), evaluated
        return
    if not isinstance(wanted, Mapping):
        yield name, wanted, evaluated
        return
    limits = dict(wanted)
    if name == "npu_nodes":
        named = {evaluated.device_name(key) for key in limits}
        limits |= {d.name: "all" for d in evaluated.devices if d.name not in named}
    for key, limit in limits.items():
        yield f"{name}.{key}", limit, evaluated.of(key)


__all__ = ["GATES", "Evaluated", "check"]
