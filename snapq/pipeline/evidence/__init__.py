"""What the stages did to accuracy, size and time: the kinds of evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from snapq.pipeline.cache import Cache
from snapq.pipeline.evidence import (
    answers,
    apart,
    classical,
    estimates,
    latency,
    layers,
    outputs,
    recorded,
    steps,
)
from snapq.pipeline.evidence.base import Evidence, Found
from snapq.pipeline.inputs import Setting
from snapq.pipeline.steps import Branch
from snapq.progress import Progress

KINDS: tuple[Evidence, ...] = (
    estimates.EVIDENCE,
    outputs.EVIDENCE,
    answers.EVIDENCE,
    layers.EVIDENCE,
    steps.EVIDENCE,
    classical.EVIDENCE,
    latency.EVIDENCE,
    *recorded.EVIDENCE,
)
"""In the order in which they are gathered, and in which their notes are told."""


def gather(
    setting: Setting, branches: Sequence[Branch], cache: Cache, progress: Progress, bundle: Path
) -> Found:
    """Takes every figure that the finished stages allow.

    Args:
        setting: the run's setting.
        branches: what there is behind the last stage; where devices have packages of their own,
            one each.
        cache: finished work of earlier runs.
        progress: reporter of progress.
        bundle: where the run's bundle stands, with the packages of all devices.

    Raises:
        SnapqError: a figure cannot be taken although the stages allow it.
    """
    first, *others = branches
    found = Found()
    for kind in KINDS:
        inputs = first.inputs
        if kind is latency.EVIDENCE and others:  # a board takes the package of its device
            inputs = inputs.with_bundle(bundle)
        found = found.and_also(kind.found(inputs, cache, progress))
    if others:
        found = apart.labelled(found, first.names)
    for branch in others:
        found = found.and_also(apart.gather(branch, cache, progress))
    notes = (*apart.notes(branches), *_notes(setting, found))
    return Found(notes=notes).and_also(found)


def random_notes(setting: Setting) -> Iterator[str]:
    """What of a run rests on random inputs."""
    if setting.evaluation is not None and setting.evaluation.random:
        yield "RANDOM INPUTS: encodings and comparisons rest on random inputs and prove nothing."
    elif setting.random_inputs:
        yield (
            "RANDOM INPUTS: what is calibrated or trained rests on random inputs; comparisons are "
            "made on data.evaluation, and mostly better with real samples for calibration."
        )


def _notes(setting: Setting, found: Found) -> Iterator[str]:
    """What is to be known of all figures."""
    yield from random_notes(setting)
    if setting.config.model.outputs:
        yield (
            f"The model is cut at {', '.join(setting.config.model.outputs)}. Times, sizes and SQNR "
            "are those of the part in front of the cut; metrics are taken behind it, where the "
            "bundle's tail.onnx has run on the CPU."
        )
    if setting.classical is not None:
        yield from setting.classical.notes
        yield (
            f"A classical model, {setting.classical.rows:,} rows at once: the CPU computes its "
            "head and tail, which the bundle has as data. Times, sizes and SQNR are those of the "
            "part on the NPU; metrics and answers are taken behind the tail."
        )
    if setting.quantized:
        yield (
            "The model came quantized: `float` stands for the model as given, on this machine's "
            "CPU, and the fp16 baseline is its float form."
        )
    if found.figures.fidelity and setting.config.data.evaluation is None:
        yield "Compared on the calibration samples themselves; name data.evaluation for more."


__all__ = ["KINDS", "gather", "random_notes"]
