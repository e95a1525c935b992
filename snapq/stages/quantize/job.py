"""What the quantize stage asks of the engine: model, precision, imposed encodings, samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import onnx_ir as ir

from snapq.config import PercentileObserver, QuantizeConfig
from snapq.evaluation.samples import Array, Sample
from snapq.graph import boundary
from snapq.graph.boundary import Boundary
from snapq.npu.runtime import status
from snapq.precision import ActivationType, Preset, precision_name
from snapq.progress import Progress
from snapq.quantization.calibration.observers.base import observer
from snapq.quantization.calibration.observers.percentile import Percentile
from snapq.quantization.encodings import Encoding
from snapq.quantization.granularity import Granularity, PerAxis, PerBlock, PerTensor
from snapq.quantization.notes import Note, NoteKind
from snapq.quantization.precision_rules.overrides import resolve
from snapq.quantization.qdq.scheme import NodePrecision, Scheme
from snapq.quantization.quantize import Quantized, quantize
from snapq.quantization.tuning.algorithms.base import FORMER_NAMES, Stage, in_order, stage_of
from snapq.quantization.tuning.judges import ALONE, Judges
from snapq.quantization.tuning.output_score import Runner
from snapq.quantization.tuning.presets import Recipe, Tuning, preset, tune, tuning
from snapq.records import Origin
from snapq.stages.base import Context
from snapq.stages.imposing import fixed_inputs, stored_types, unchanged
from snapq.stages.quantize.scoring import Estimator, estimated_device, runner

Found = TypeVar("Found", "Quantized", "Tuning")
_WAITED_S = 10.0
"""A step that takes longer is told of when it ends."""


@dataclass(frozen=True)
class Feeds:
    """The model's inputs of samples, made anew each time that they are read."""

    samples: Iterable[Sample]
    feeds: Callable[[Sample], Mapping[str, Array]]

    def __iter__(self) -> Iterator[Mapping[str, Array]]:
        return map(self.feeds, self.samples)


class _Now:
    """Tells of a step that was waited for; the notes at the end tell of all."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._last = progress, time.monotonic()

    def __call__(self, line: str) -> None:
        now = time.monotonic()
        if now - self._last >= _WAITED_S:
            self._progress.say(line)
        self._last = now


LEAVES_WEIGHTS = ("bias-correction",)
"""Algorithms that leave weights as they are, so that shared values stay shared."""


@dataclass(frozen=True)
class QuantizationJob:
    """One quantization, ready to be done.

    Attributes:
        model: the float model, with the normalization of the run's boundary folded in.
        scheme: the precision of every node.
        fixed: imposed encodings, by tensor name.
        boundary: of the run; None where there is none.
        recipe: observers and algorithms to try.
        judges: the simulator scores at the end where it is installed; the estimate is there where
            nodes may have 16 bits.
        notes: for the reader.
    """

    model: ir.Model
    scheme: Scheme
    fixed: Mapping[str, Encoding]
    boundary: Boundary | None
    recipe: Recipe
    notes: tuple[Note, ...]
    judges: Judges = ALONE

    def feeds(self, samples: Iterable[Sample]) -> Feeds:
        """What the model takes of each sample."""
        plan = self.boundary
        return Feeds(samples, plan.model_feeds if plan is not None else lambda s: s.feeds)

    def with_nodes(self, nodes: Mapping[str, NodePrecision]) -> QuantizationJob:
        """The same with the precision of some nodes changed."""
        per_node = {**self.scheme.per_node, **nodes}
        return replace(self, scheme=replace(self.scheme, per_node=per_node))

    def quantized(
        self, samples: Iterable[Sample], progress: Callable[[int], None] | None = None
    ) -> Quantized:
        """Calibrates and quantizes. Raises `DataError` where a sample does not fit the model."""
        return self._by(tune, samples, progress)

    def by_ranges(self, samples: Iterable[Sample]) -> Quantized:
        """Quantizes by ranges alone, without running the network for what they do to its outputs.

        Raises as `quantized`.
        """
        scheme = replace(self.scheme, observer=self.recipe.observers[0])
        return quantize(self.model, self.feeds(samples), scheme, fixed=self.fixed)

    def tuned(
        self, samples: Iterable[Sample], progress: Callable[[int], None] | None = None
    ) -> Tuning:
        """What the recipe finds, for whoever quantizes more than once. Raises as `quantized`."""
        return self._by(tuning, samples, progress)

    def _by(
        self,
        find: Callable[..., Found],
        samples: Iterable[Sample],
        progress: Callable[[int], None] | None,
    ) -> Found:
        found: Found = find(
            self.model,
            self.feeds(samples),
            self.scheme,
            self.recipe,
            fixed=self.fixed,
            judges=self.judges,
            progress=progress,
        )
        return replace(found, notes=(*self.notes, *found.notes))


def quantization_job(
    model: ir.Model,
    options: QuantizeConfig,
    context: Context,
    shared: Mapping[str, Encoding] | None = None,
) -> QuantizationJob:
    """What the options and the boundary of the run ask for.

    An earlier stage may have made encodings of weights that are `shared`.

    Raises:
        ConfigError: an override matches no node.
    """
    changed: tuple[Note, ...] = ()
    if context.boundary is not None:
        folded = boundary.fold_normalization(model, context.boundary)
        shared, changed = unchanged(shared or {}, model, folded)
        model = folded
    tried = recipe(options)
    changed += tuple(
        Note(NoteKind.ADVICE, (), f"The algorithm `{name}` is called `{FORMER_NAMES[name]}` now.")
        for name in options.algorithms or ()
        if name in FORMER_NAMES
    )
    if shared:
        kept = tuple(name for name in tried.algorithms if name in LEAVES_WEIGHTS)
        gone = ", ".join(name for name in tried.algorithms if name not in kept)
        if gone:
            text = f"Not tried, as weights are shared: {gone}."
            changed += (Note(NoteKind.TUNING, (), text),)
        tried = replace(tried, algorithms=kept)
    scheme = Scheme(
        observer=tried.observers[0],
        weights=options.weights,
        activations=options.activations,
        granularity=granularity(options),
        architecture=min(device.architecture for device in context.devices),
        keep_wide=options.precision_rules,
        float16=all("fp16" in device.precisions for device in context.devices),
        per_node={**stored_types(model, shared or {}), **resolve(options.overrides, model)},
    )
    fixed = {**(shared or {}), **fixed_inputs(context.boundary)}
    judges = Judges(
        _simulator(options, context), _time(tried, options, context), _Now(context.progress)
    )
    return QuantizationJob(model, scheme, fixed, context.boundary, tried, changed, judges)


def granularity(options: QuantizeConfig) -> Granularity:
    """Which values of a weight share a scale, see `Scheme`."""
    if options.block is not None:
        return PerBlock(1, options.block)
    return PerAxis(0) if options.per_channel else PerTensor()


def recipe(options: QuantizeConfig) -> Recipe:
    """What the options ask to be tried."""
    chosen = preset(options.preset.value, options.weights)
    if isinstance(options.observer, PercentileObserver):
        chosen = replace(chosen, observers=(Percentile(options.observer.percentile),))
    elif options.observer is not None:
        chosen = replace(chosen, observers=(observer(options.observer),))
    if options.algorithms is not None:
        names = tuple(FORMER_NAMES.get(name, name) for name in options.algorithms)
        chosen = replace(chosen, algorithms=names, quick_correction=False)
    return chosen


def _time(
    tried: Recipe, options: QuantizeConfig, context: Context
) -> Callable[[ir.Model], float] | None:
    """The estimate for the first target that has one, where a step asks and all have 16 bits.

    Where a mix of precisions is searched for, that has parts of a model of its own.
    """
    asked = any(stage_of(name) is Stage.PARTS for name in in_order(tried.algorithms))
    if not asked or not status().usable or options.budget is not None:
        return None
    wide = precision_name(options.weights, ActivationType.UINT16)
    device = estimated_device(context)
    if device is None or not all(wide in one.precisions for one in context.devices):
        return None
    estimate = Estimator(device, context)
    return lambda model: estimate(model).us


def _simulator(options: QuantizeConfig, context: Context) -> Runner | None:
    """The simulator of the first target where the preset is `best` and it is installed."""
    if options.preset is not Preset.BEST or not status().usable:
        return None
    return runner(Origin.SIMULATED, context.devices[0])
