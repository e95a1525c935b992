"""The prune stage: takes out blocks, cuts channels, checks the cut, refits the layers behind it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import onnx_ir as ir

from snapq.bundle import ENCODINGS
from snapq.config import PruneConfig, Sparsity
from snapq.devices.profiles import find
from snapq.errors import ConfigError, QnnError
from snapq.graph import io
from snapq.graph.cost import total_macs
from snapq.npu.memory import Memory
from snapq.npu.runtime import status
from snapq.progress import Progress
from snapq.pruning import blocks
from snapq.pruning.budget import Limits
from snapq.pruning.groups import Structure
from snapq.pruning.importance import Ranking
from snapq.pruning.prune import (
    Choose,
    Losses,
    Pruned,
    Recall,
    at_most,
    kept,
    prune,
    ranked_by,
    share_of_macs,
    within,
)
from snapq.pruning.sparsity import mask
from snapq.pruning.statistics import Samples
from snapq.pruning.surgery import stays
from snapq.ranking import Importance
from snapq.stages.artifact import MODEL
from snapq.stages.base import ESTIMATE, Context, Input, Outcome, Reads, Source
from snapq.stages.estimating import estimator
from snapq.stages.prune_trees import prune_trees
from snapq.storage import compressed_size, storage_errors, write_json

_JUDGES = 64
"""Samples by which blocks are compared, at most."""
CUT = "cut.onnx"
"""The model after the cut and before the repair, beside the stage's result."""


def reads(options: PruneConfig) -> Reads:
    """The model; samples, the seed of gradients and what estimates need, as the options ask."""
    needed, optional = [Input.PREVIOUS], []
    if options.needs_samples:
        needed.append(Input.CALIBRATION)
    if options.needs_samples or options.cuts:
        optional += [Input.CALIBRATION, Input.BOUNDARY]
    if options.importance is Importance.TAYLOR:
        needed.append(Input.SEED)
    if options.blocks is not None or (options.target and options.target.estimate_us is not None):
        optional += ESTIMATE
    return Reads(tuple(needed), tuple(optional))


def run(options: PruneConfig, context: Context, folder: Path) -> Outcome:
    """Writes the pruned model into `folder`; what was quantized stays quantized.

    Raises:
        ConfigError: the options need calibration samples (with labels, of trees) and there are
            none.
        InstallError: the importance `taylor` needs PyTorch, which is not installed.
        ModelError: nothing can be cut, or the cut fails its check.
        DataError: a sample does not fit the model.
    """
    source = context.previous
    model = io.load(source.model)
    notes: list[str] = []
    details: dict[str, Any] = {}
    if options.trees is not None:
        model = prune_trees(model, options.trees, context.calibration, notes, details)
        io.save(model, folder / MODEL)
        return Outcome(source.precision, tuple(notes), details, changed={"prune": MODEL})
    if options.blocks is not None:
        model = _drop_blocks(model, source, options, context, notes, details)
    if options.remove:
        model = _remove_blocks(model, source, options, notes, details)
    if options.cuts:
        model = _cut(model, source, options, context, folder, notes, details)
    elif (source.folder / ENCODINGS).is_file():
        with storage_errors(folder):
            shutil.copyfile(source.folder / ENCODINGS, folder / ENCODINGS)
    if options.sparsity is not None:
        _mask(model, options.sparsity, folder, notes, details)
    io.save(model, folder / MODEL)
    if (folder / CUT).is_file():
        changed = {"cut": CUT, "repair": MODEL}
    else:
        changed = {"cut" if options.cuts or options.shortens else "mask": MODEL}
    return Outcome(source.precision, tuple(notes), details, changed=changed)


def _drop_blocks(
    model: ir.Model,
    source: Source,
    options: PruneConfig,
    context: Context,
    notes: list[str],
    details: dict[str, Any],
) -> ir.Model:
    """Takes out residual blocks, those that are missed the least."""
    _require_float(source, "blocks")
    samples, count = _samples(source, options, context), options.blocks
    assert samples is not None
    assert count is not None
    judges = list(islice(samples(), _JUDGES))
    with context.progress.track("Try blocks", blocks.trials(model, count)) as advance:
        result, dropped = blocks.shallower(model, count, judges, _time(model, context), advance)
    details["blocks"] = [vars(item) for item in dropped]
    details["macs"] = {"before": total_macs(model), "after": total_macs(result)}
    named = ", ".join(item.name for item in dropped)
    notes.append(
        f"Took out {count} residual block{'s' if count > 1 else ''}, ending in {named}: "
        f"{1 - details['macs']['after'] / details['macs']['before']:.0%} of the "
        f"multiply-accumulates, and {dropped[-1].error:.1%} of the outputs' energy is wrong "
        f"for it on {len(judges)} samples."
    )
    return result


def _remove_blocks(
    model: ir.Model,
    source: Source,
    options: PruneConfig,
    notes: list[str],
    details: dict[str, Any],
) -> ir.Model:
    """Takes out the residual blocks that the options name."""
    _require_float(source, "remove")
    result = blocks.without(model, blocks.named(model, options.remove))
    details["macs"] = {"before": total_macs(model), "after": total_macs(result)}
    gone = 1 - details["macs"]["after"] / details["macs"]["before"]
    count = len(options.remove)
    notes.append(
        f"Took out {count} residual block{'s' if count > 1 else ''}, ending in "
        f"{', '.join(options.remove)}: {gone:.0%} of the multiply-accumulates."
    )
    return result


def _require_float(source: Source, option: str) -> None:
    """Raises `ConfigError` where the model was quantized before."""
    if source.precision != "float":
        raise ConfigError(
            "Blocks are removed from float models only.",
            where=f"stages.prune.{option}",
            hint="Put the prune stage in front of quantize.",
        )


def _time(model: ir.Model, context: Context) -> Callable[[ir.Model], float] | None:
    """What estimates parts of a model for the first target; None where nothing can."""
    if not context.devices or not context.devices[0].has_estimate or not status().usable:
        return None
    estimate = estimator(context, context.devices[0])
    try:
        estimate(model)
    except QnnError as error:
        if error.transient:
            raise
        return None  # it does not compile as it is; then arithmetic is what counts
    return lambda model: estimate(model).precise_us


def _cut(
    model: ir.Model,
    source: Source,
    options: PruneConfig,
    context: Context,
    folder: Path,
    notes: list[str],
    details: dict[str, Any],
) -> ir.Model:
    """Cuts channels, and writes what else belongs into the folder."""
    gradients = options.importance is Importance.TAYLOR
    way = ranked_by(_gradients(context.seed) if gradients else options.importance)
    pruned = prune(
        model,
        _choose(options, context),
        by=kept(way, _recall(model, options, context)),
        limits=Limits(options.step, options.most),
        keep=options.keep,
        samples=_samples(source, options, context),
        with_repair=options.repair and source.precision == "float",
        progress=context.progress,
    )
    if pruned.cut is not None:
        io.save(pruned.cut, folder / CUT)
    if (source.folder / ENCODINGS).is_file():
        _write_encodings(source.folder / ENCODINGS, pruned, folder / ENCODINGS)
    notes.extend(_notes(pruned, options, source))
    whole = details.get("macs")
    details.update(_details(pruned, options, context))
    if whole is not None:
        details["macs"]["before"] = whole["before"]
    return pruned.model


def _recall(model: ir.Model, options: PruneConfig, context: Context) -> Recall:
    """Keeps the ranking of channels from run to run: it hangs on no goal.

    A search or a sweep cuts one model many times, and only how much of it differs.
    """
    gradients, data = options.importance is Importance.TAYLOR, context.calibration
    parts: dict[str, object] = {
        "model": io.digest(model),
        "importance": options.importance.value,
        "calibration": None if data is None else data.fingerprint(),
        "boundary": context.boundary and context.boundary.to_json(),
        "seed": context.seed if gradients else None,
    }
    # States that samples begin with come from the model as given, which is not among the parts.
    memory = Memory(None if data is not None and data.state else context.memo)
    return lambda make, read: memory.recall("channel ranking", parts, make, read)


def _mask(
    model: ir.Model, options: Sparsity, folder: Path, notes: list[str], details: dict[str, Any]
) -> None:
    """Sets weights to zero, in place."""
    before = _compressed_bytes(model, folder)
    masked = mask(model, share=options.share, pattern=options.kept)
    details["sparsity"] = {
        "layers": masked.layers,
        "zeros": masked.zeros,
        "weights": masked.weights,
        "compressed_bytes": {"before": before, "after": _compressed_bytes(model, folder)},
    }
    notes.append(
        f"{masked.zeros / max(masked.weights, 1):.0%} of the weights of {masked.layers} layers are "
        "zero now. That makes the download smaller; it does not speed up the NPU."
    )


def _gradients(seed: int) -> Losses:
    """The ranking by gradients, which needs PyTorch."""
    from snapq.training.taylor import taylor

    def rank(structure: Structure, samples: Samples, progress: Progress) -> tuple[Ranking, ...]:
        with progress.track("Follow gradients", sum(1 for _ in samples())) as advance:
            return taylor(structure, samples(), seed, advance)

    return rank


def _compressed_bytes(model: ir.Model, folder: Path) -> int:
    """Size of a model as everywhere in the report; it is written into `folder`."""
    io.save(model, folder / MODEL)
    return sum(compressed_size(path) for path in folder.glob(f"{MODEL}*"))


def _choose(options: PruneConfig, context: Context) -> Choose:
    if options.ratio is not None:
        return share_of_macs(options.ratio)
    goal = options.target
    assert goal is not None
    if goal.macs is not None:
        return at_most(goal.macs, "macs")
    if goal.bytes is not None:
        return at_most(goal.bytes, "bytes")
    assert goal.estimate_us is not None
    device = find(goal.device) if goal.device is not None else context.devices[0]
    estimate = estimator(context, device)
    return within(goal.estimate_us, lambda model: estimate(model).precise_us, goal.compiles)


def _samples(source: Source, options: PruneConfig, context: Context) -> Samples | None:
    """The calibration samples as the model takes them; None where the options need none."""
    data, plan = context.calibration, context.boundary
    if data is None:
        if not options.needs_samples:
            return None
        raise ConfigError(
            "The prune stage needs calibration samples.",
            where="data.calibration",
            hint="Give images, arrays or python there; or prune with "
            "{importance: magnitude, repair: false}, which looks at the weights alone.",
        )
    if source.precision == "float" or plan is None:
        return lambda: (sample.feeds for sample in data)
    return lambda: (plan.model_feeds(sample) for sample in data)


def _notes(pruned: Pruned, options: PruneConfig, source: Source) -> Iterator[str]:
    chosen = pruned.chosen
    if not chosen.reached:
        yield (
            f"The target of {chosen.goal:,.0f} {chosen.unit} was not reached; the nearest cut has "
            f"{chosen.found:,.0f} (steps of {options.step} channels, at most {options.most:.0%} of "
            "a layer). Allow more with `most`, or ask for less."
        )
    if options.repair and source.precision != "float":
        yield "Integer weights were cut and not refitted; prune before quantize for that."
    for item in pruned.structure.fixed:
        yield f"{item.node} keeps its channels: {item.reason}."


def _details(pruned: Pruned, options: PruneConfig, context: Context) -> dict[str, Any]:
    data = context.calibration
    return {
        "importance": options.importance.value,
        "groups": len(pruned.structure.groups),
        "target": {
            "unit": pruned.chosen.unit,
            "goal": pruned.chosen.goal,
            "before": pruned.chosen.whole,
            "after": pruned.chosen.found,
            "candidates_estimated": pruned.chosen.probes,
        },
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
