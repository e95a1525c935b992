"""Figures of devices that have packages of their own, beside those of the first package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from snapq.bundle import PACKAGES
from snapq.pipeline.cache import Cache
from snapq.pipeline.evidence import estimates, outputs, recorded
from snapq.pipeline.evidence.base import Evidence, Found
from snapq.pipeline.steps import Branch
from snapq.progress import Progress
from snapq.records import BundleDeviceRecord
from snapq.stages.package.stage import BUNDLE

__all__ = ["gather", "labelled", "notes"]

KINDS: tuple[Evidence, ...] = (
    estimates.EVIDENCE,
    outputs.EVIDENCE,
    recorded.CANDIDATES,
    recorded.PACKAGE,
)
"""Layers, steps and encodings are shown of the first package; the stages' folders have all."""


def gather(branch: Branch, cache: Cache, progress: Progress) -> Found:
    """What ships for the devices of a branch; the float model was evaluated with the first one."""
    found = Found()
    for kind in KINDS:
        found = found.and_also(kind.found(branch.inputs, cache, progress))
    figures = found.figures
    changes = {
        "accuracy": tuple(one for one in figures.accuracy if one.label != "float"),
        "sensitivity": (),
        "bundle": tuple(_moved(one, branch.names[0]) for one in figures.bundle),
    }
    return labelled(
        Found(figures.model_copy(update=changes), found.notes, found.failures), branch.names
    )


def labelled(found: Found, devices: tuple[str, ...]) -> Found:
    """The same with the devices at what is compared for them alone."""
    tried = tuple(one.model_copy(update={"devices": devices}) for one in found.figures.tradeoff)
    figures = found.figures.model_copy(update={"tradeoff": tried})
    return Found(figures, found.notes, found.failures)


def notes(branches: Sequence[Branch]) -> Iterator[str]:
    """Which devices got which precision, and why; nothing where all have the same model."""
    if len(branches) < 2:
        return
    batches = len({_batch(one) for one in branches}) > 1
    chosen = "batch: auto" if batches else "precision: auto"
    if not batches and not any(isinstance(_mixed(one), dict) for one in branches):
        yield (
            "Each kind of device has the form of the network that is fastest on it: packages for "
            f"{'; '.join(', '.join(one.names) for one in branches)}. The bundle holds them all, "
            f"those behind the first in {BUNDLE}/{PACKAGES}."
        )
        return
    yield (
        f"`{chosen}` gives each kind of device the fastest package that is good enough: "
        f"{'; '.join(map(_choice, branches))}. The bundle holds them all, those behind the first "
        f"in {BUNDLE}/{PACKAGES}."
    )


def _choice(branch: Branch) -> str:
    """`w8a8 for qcs9075, sm8650 (412.0 µs estimated on qcs9075, 31.2 dB simulated)`."""
    text = branch.precision
    if (batch := _batch(branch)) > 1:
        text += f", {batch} samples a call,"
    text += f" for {', '.join(branch.names)}"
    found = _mixed(branch)
    if not isinstance(found, dict):
        return text
    reasons = []
    if found["estimated_us"] is not None:
        reasons.append(f"{found['estimated_us']:,.1f} µs estimated on {found['estimated_on']}")
    reasons.append(f"{_value(found)}, {found['where']}, held out")
    if not found["budget_met"]:
        reasons.append("the goal is not reached")
    return f"{text} ({'; '.join(reasons)})"


def _mixed(branch: Branch) -> Any:
    """What the search for a precision found; None where there was none."""
    made = (one.artifact.record for one in branch.finished if one.step.name == "quantize")
    return next((one.details.get("mixed_precision") for one in made), None)


def _batch(branch: Branch) -> int:
    """How many samples a call of its package takes."""
    return int(branch.finished[-1].artifact.record.details.get("batch", 1))


def _value(found: dict[str, Any]) -> str:
    """`31.2 dB`, or `top1 0.8712`."""
    value, unit = found["value"], found["unit"]
    return f"{value:.1f} dB" if unit == "dB" else f"{unit} {value:.4f}"


def _moved(record: BundleDeviceRecord, name: str) -> BundleDeviceRecord:
    """The same with the places that the files have in the run's bundle."""
    inside = f"{BUNDLE}/{PACKAGES}/{name}"
    files = tuple(
        file.model_copy(update={"path": f"{inside}{file.path.removeprefix(BUNDLE)}"})
        for file in record.files
    )
    return record.model_copy(update={"files": files})
