"""The prune stage: cuts channels, checks the cut, refits the layers behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snapq.artifact import MODEL
from snapq.bundle import ENCODINGS
from snapq.config import Importance, PruneConfig
from snapq.errors import ConfigError
from snapq.stages.base import Context, Outcome, Source
from snapq.storage import storage_errors, write_json

if TYPE_CHECKING:
    from snapq.pruning.prune import Pruned, Target
    from snapq.pruning.statistics import Samples

CUT = "cut.onnx"
"""The model after the cut and before the repair, beside the stage's result."""


def run(source: Source, options: PruneConfig, context: Context, folder: Path) -> Outcome:
    """Writes the pruned model into `folder`; what was quantized stays quantized.

    Raises:
        ConfigError: the options need calibration samples and there are none.
        ModelError: nothing can be cut, or the cut fails its check.
        DataError: a sample does not fit the model.
    """
    from snapq.graph import io
    from snapq.pruning.budget import Limits
    from snapq.pruning.prune import prune

    with context.progress.track("Find channels"):
        model = io.load(source.model)
    pruned = prune(
        model,
        _target(options),
        by=options.importance,
        limits=Limits(options.step, options.most),
        keep=options.keep,
        samples=_samples(source, options, context),
        mend=options.repair and source.precision == "float",
        track=context.progress.track,
    )
    io.save(pruned.model, folder / MODEL)
    if pruned.cut is not None:
        io.save(pruned.cut, folder / CUT)
    if (source.folder / ENCODINGS).is_file():
        _write_encodings(source.folder / ENCODINGS, pruned, folder / ENCODINGS)
    return Outcome(
        precision=source.precision,
        notes=tuple(_notes(pruned, options, source)),
        details=_details(pruned, options, context),
    )


def _target(options: PruneConfig) -> Target:
    from snapq.pruning import prune

    if options.ratio is not None:
        return prune.share_of_macs(options.ratio)
    goal = options.target
    assert goal is not None
    if goal.macs is not None:
        return prune.at_most_macs(goal.macs)
    assert goal.bytes is not None
    return prune.at_most_bytes(goal.bytes)


def _samples(source: Source, options: PruneConfig, context: Context) -> Samples | None:
    """The calibration samples as the model takes them; None where the options need none."""
    data, plan = context.calibration, context.boundary
    needed = options.repair or options.importance is not Importance.MAGNITUDE
    if data is None:
        if not needed:
            return None
        raise ConfigError(
            "The prune stage needs calibration samples.",
            where="data.calibration",
            mend="Give images, arrays or python there; or prune with "
            "{importance: magnitude, repair: false}, which looks at the weights alone.",
        )
    if source.precision == "float" or plan is None:
        return lambda: (sample.feeds for sample in data)
    return lambda: (plan.model_feeds(sample) for sample in data)


def _notes(pruned: Pruned, options: PruneConfig, source: Source) -> Iterator[str]:
    if not pruned.reached:
        yield (
            "The target was not reached: every group of channels is at its smallest "
            f"(steps of {options.step}, at most {options.most:.0%} of a group)."
        )
    if options.repair and source.precision != "float":
        yield "Integer weights were cut and not refitted; prune before quantize for that."
    for item in pruned.fixed:
        yield f"{item.node} keeps its channels: {item.reason}."


def _details(pruned: Pruned, options: PruneConfig, context: Context) -> dict[str, Any]:
    data = context.calibration
    return {
        "importance": options.importance.value,
        "groups": len(pruned.structure.groups),
        "macs": {"before": pruned.macs[0], "after": pruned.macs[1]},
        "weight_bytes": {"before": pruned.bytes[0], "after": pruned.bytes[1]},
        "layers": [
            {"layer": x.node, "operator": x.operator, "before": x.before, "after": x.after}
            for x in pruned.layers
        ],
        "repaired": [
            {"layer": x.node, "error_before": x.before, "error_after": x.after}
            for x in pruned.repaired
        ],
        "check": pruned.difference,
        "samples": 0 if data is None else len(data),
        "random_inputs": data is not None and data.random,
    }


def _write_encodings(path: Path, pruned: Pruned, target: Path) -> None:
    """The encodings without the channels that were cut; `t_scale` holds the scales of `t`."""
    from snapq.pruning.surgery import stays

    with storage_errors(path):
        records = json.loads(path.read_text(encoding="utf-8"))
    kept = stays(pruned.structure, pruned.removed)
    for record in records:
        ids = pruned.structure.ids.get(f"{record['tensor']}_scale", ())
        if record["axis"] is None or len(ids) != 1 or len(ids[0]) != len(record["scale"]):
            continue
        mask = kept[ids[0]]
        for key in ("scale", "zero_point"):
            record[key] = [item for item, stay in zip(record[key], mask, strict=True) if stay]
        record["channels"] = len(record["scale"])
    write_json(target, records)
