"""Recipes: which observers and algorithms to try, and the proof that they help.

A quarter of the calibration samples is held out. Each step of the recipe is applied to what the
steps before it left, and stays only where the outputs on the held-out samples come nearer to those
of the float model, by more than the choice of these samples explains. The notes say what each step
gained and which were dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.precision import WeightType
from snapq.quantization.analysis.advice import advice
from snapq.quantization.calibration.calibrate import Samples
from snapq.quantization.calibration.observers.activation_mse import ActivationMse
from snapq.quantization.calibration.observers.auto import Auto
from snapq.quantization.calibration.observers.base import Observer
from snapq.quantization.calibration.observers.entropy import Entropy
from snapq.quantization.calibration.observers.minmax import MinMax
from snapq.quantization.calibration.observers.mse import Mse
from snapq.quantization.calibration.observers.percentile import Percentile
from snapq.quantization.calibration.observers.sqnr import Sqnr
from snapq.quantization.encodings import Encoding
from snapq.quantization.notes import Note, NoteKind
from snapq.quantization.qdq.lowering.order import lower
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.quantize import Quantized, observe
from snapq.quantization.tuning.algorithms.base import (
    Stage,
    Study,
    algorithm,
    algorithm_names,
    in_order,
    stage_of,
)
from snapq.quantization.tuning.confirmed import SecondLook
from snapq.quantization.tuning.fast import quantize_fast
from snapq.quantization.tuning.finalists import Candidate, best_of
from snapq.quantization.tuning.judges import ALONE, Judges
from snapq.quantization.tuning.known_layers import KnownLayers
from snapq.quantization.tuning.output_score import LastOpened, OutputScorer
from snapq.quantization.tuning.price import Price
from snapq.quantization.tuning.score import LEAST, Gain
from snapq.runtime import old_objects_set_aside, products_in_one_thread

__all__ = ["PRESETS", "Recipe", "Tuning", "preset", "tune", "tuning"]

_HELD_OUT = 4
"""Every fourth sample is held out, at most `_MOST_HELD_OUT`."""
_MOST_HELD_OUT = 16
_SPOILS = (
    "dropped, as an output, or a group of its channels, becomes clearly worse than without any"
)
_ROUNDS = (Stage.WEIGHTS, Stage.REFINE)
"""Steps that choose all integers of the weights anew."""


@dataclass(frozen=True)
class Recipe:
    """What to try.

    Attributes:
        observers: the first one is the starting point.
        algorithms: names; what rewrites the model is tried first.
        quick_correction: without other steps, whether `quantize_fast` corrects biases.
    """

    observers: tuple[Observer, ...] = (MinMax(),)
    algorithms: tuple[str, ...] = ()
    quick_correction: bool = False

    @property
    def plain(self) -> bool:
        """Whether there is nothing to choose from."""
        return len(self.observers) == 1 and not self.algorithms

    def check(self) -> None:
        """Refuses names of algorithms that do not exist. Raises `ConfigError`."""
        in_order(self.algorithms)


PRESETS: dict[str, Recipe] = {
    "fast": Recipe(quick_correction=True),
    "balanced": Recipe(
        (MinMax(), Mse(), ActivationMse()),
        ("rotation", "smoothquant", "cle-depthwise", "cle", "bias-correction", "range-search"),
    ),
    "best": Recipe(
        (MinMax(), Mse(), ActivationMse(), Sqnr(), Auto(), Percentile(), Entropy()),
        (
            "wide-sums",
            "wide-attention",
            "wide-feed-forward",
            "ocs",
            "cle-depthwise",
            "cle",
            "bias-absorption",
            "rotation",
            "smoothquant",
            "bias-correction",
            "range-search",
            "gptq",
            "adaround",
            "wide-outputs",
        ),
    ),
}
"""`fast` measures ranges, and corrects biases where activations have 16 bits; `balanced` adds what
is cheap and mostly helps; `best` tries all."""
_FOR_4_BITS = ("gptaq",)
"""Algorithms of `best` for weights of 4 bits. At 8 bits a layer's rounding leaves next to nothing
for the layers behind it to make up for, and this one takes as long as all others together."""


def preset(name: str, weights: WeightType) -> Recipe:
    """The recipe of a preset for a type of weights."""
    chosen = PRESETS[name]
    if name != "best" or weights is not WeightType.INT4:
        return chosen
    return replace(chosen, algorithms=(*chosen.algorithms, *_FOR_4_BITS))


@old_objects_set_aside()
def tune(
    model: ir.Model,
    samples: Samples,
    scheme: Scheme,
    recipe: Recipe,
    *,
    fixed: Mapping[str, Encoding] | None = None,
    judges: Judges = ALONE,
    progress: Callable[[int], None] | None = None,
) -> Quantized:
    """Quantizes with the steps of a recipe that help on held-out samples.

    Args:
        model: the prepared float model; left as it is.
        samples: can be read again and again; a recipe without steps reads them once.
        scheme: precision; its observer is not used.
        recipe: what to try.
        fixed: encodings imposed on tensors, by name.
        judges: who judges the steps beside the CPU.
        progress: called with 1 for each sample of the first pass.

    Raises:
        ConfigError: the recipe names what does not exist.
        DataError, ModelError: as `quantize`.
    """
    recipe.check()
    if recipe.plain:
        plain = replace(scheme, observer=recipe.observers[0])
        correct = recipe.quick_correction
        return quantize_fast(model, samples, plain, fixed=fixed, correct=correct, progress=progress)
    found = tuning(model, samples, scheme, recipe, fixed=fixed, judges=judges, progress=progress)
    far = advice(found.decibels, found.study.scheme)
    told = (*found.study.built.notes, *found.notes, *far)
    return replace(found.study.built, notes=told)


@dataclass(frozen=True)
class Tuning:
    """What the steps of a recipe found.

    Attributes:
        study: the model with what helped.
        notes: for the reader: what each step gained.
        decibels: SQNR at the outputs on held-out samples, on the CPU; infinite without any.
    """

    study: Study
    notes: tuple[Note, ...] = ()
    decibels: float = inf


@old_objects_set_aside()
@products_in_one_thread()
def tuning(
    model: ir.Model,
    samples: Samples,
    scheme: Scheme,
    recipe: Recipe,
    *,
    fixed: Mapping[str, Encoding] | None = None,
    judges: Judges = ALONE,
    progress: Callable[[int], None] | None = None,
) -> Tuning:
    """What `tune` goes by, for callers that quantize more than once: all tensors are watched.

    Arguments and errors are those of `tune`.
    """
    recipe.check()
    scheme = replace(scheme, observer=recipe.observers[0])
    imposed = dict(fixed or {})
    lowered = lower(model, scheme)
    source, scheme = lowered.model, lowered.scheme
    if recipe.plain:
        seen = observe(source, samples, progress)
        return Tuning(Study(source, scheme, imposed, samples, seen))
    training, held = _Split(samples, held=False), list(_Split(samples, held=True))
    opened = LastOpened()
    scorer = OutputScorer(model, held or list(training), opened)
    known = KnownLayers(frozenset(recipe.algorithms))
    seen = observe(source, training, progress)
    study = Study(source, scheme, imposed, training, seen, known=known)
    kept = [Candidate("plain", study, scorer.score(study.built.model))]
    notes, chosen, tried = [], list[str](), list[str]()
    steps = dict(_steps(recipe, scheme, timed=judges.time is not None))
    after: dict[tuple[str, ...], Study] = {(): study}
    price, second = (
        Price(judges.time, study),
        SecondLook(model, training if held else (), study, opened),
    )

    def keep(name: str, changed: Study) -> bool:
        found = Candidate(name, changed, scorer.score(changed.built.model))
        gain = found.score.over(kept[-1].score)
        counts = gain.counts or (_gives_room(name) and gain.is_no_loss)
        change = f"{kept[-1].score.decibels:.1f} to {found.score.decibels:.1f} dB"
        why = _refusal(found, kept, price, second) if counts else None
        opened.close()
        notes.append(f"{name} {change}, {why or _verdict(gain, counts)}")
        judges.told(f"Tried {notes[-1]}")
        if counts and not why:
            kept.append(found)
        return counts and not why

    for name, step in steps.items():
        changed = step(kept[-1].study)
        if changed is None:
            continue
        tried.append(name)
        if keep(name, changed):
            chosen.append(name)
            after[tuple(chosen)] = changed
    rewrites = [name for name in tried if _stage(name) == Stage.MODEL]
    for name in rewrites if any(_stage(one) in _ROUNDS for one in chosen) else ():
        # Judged when weights were rounded carelessly: with or without it may be better now.
        others = [one for one in steps if (one in chosen) != (one == name)]
        told = f"without {name}" if name in chosen else f"then {name}"
        if keep(told, _replayed(after, steps, others)):
            chosen = others
    for observer in _observers(recipe, scheme) if any(map(_stage, chosen)) else ():
        # Judged when other errors were larger than those of the ranges.
        now = replace(kept[-1].study.scheme, observer=observer)
        if now != kept[-1].study.scheme:
            keep(f"then {observer} ranges", replace(kept[-1].study, scheme=now))
    best, said = best_of(judges.runner, scorer, kept, len(held))
    summary = [f"Tried, in SQNR at the outputs: {'; '.join(notes)}."] if notes else []
    story = tuple(Note(NoteKind.TUNING, (), text) for text in (*summary, said))
    if best is kept[0]:  # nothing was chosen that more samples would undo
        study = replace(study, samples=samples, seen=observe(source, samples))
    else:
        study = best.study
    return Tuning(study, story, best.score.decibels)


def _refusal(
    found: Candidate, kept: Sequence[Candidate], price: Price, second: SecondLook
) -> str | None:
    """Why a step is dropped whose score is more than chance; None where it is kept."""
    if found.score.spoils(kept[0].score):
        return _SPOILS
    before = kept[-1].score
    gained = found.score.decibels - before.decibels
    slow = price.refuses(found.study, before, gained) if _is_part(found.name) else None
    return slow or second.refuses(found.study, kept[-1].study)


class _Split:
    """The samples of one side of the split, read anew each time."""

    def __init__(self, samples: Samples, *, held: bool) -> None:
        self._samples = samples
        self._held = held

    def __iter__(self) -> Iterator[Mapping[str, npt.NDArray[np.generic]]]:
        for index, sample in enumerate(self._samples):
            chosen = index % _HELD_OUT == _HELD_OUT - 1 and index < _HELD_OUT * _MOST_HELD_OUT
            if chosen == self._held:
                yield sample


def _steps(
    recipe: Recipe, scheme: Scheme, *, timed: bool
) -> Iterator[tuple[str, Callable[[Study], Study | None]]]:
    """The types of parts where their time is known, the observers, then the other algorithms."""
    names = in_order(recipe.algorithms)
    parts = [name for name in names if _is_part(name)]
    yield from ((name, algorithm(name)) for name in parts if timed)
    for observer in _observers(recipe, scheme)[1:]:
        yield (
            f"{observer} ranges",
            lambda study, observer=observer: replace(  # type: ignore[misc]
                study, scheme=replace(study.scheme, observer=observer)
            ),
        )
    before: list[str] = []
    for name in (one for one in names if one not in parts):
        yield name, _with_repeats(name, tuple(before))
        before.append(name)


def _observers(recipe: Recipe, scheme: Scheme) -> list[Observer]:
    """The observers to try; the first one is the starting point."""
    wide = scheme.activations.bits > 8
    first, *others = recipe.observers
    return [first, *(one for one in others if not (wide and one.for_8_bits))]


def _replayed(
    after: Mapping[tuple[str, ...], Study],
    steps: Mapping[str, Callable[[Study], Study | None]],
    names: Sequence[str],
) -> Study:
    """A study after some steps; of those that choose all integers anew only the last one.

    What it was `after` some is known.
    """
    rounding = [name for name in names if _stage(name) in _ROUNDS]
    left = [name for name in names if name not in rounding[:-1]]
    done = max(count for count in range(len(left) + 1) if tuple(left[:count]) in after)
    study = after[tuple(left[:done])]
    for name in left[done:]:
        study = steps[name](study) or study
    return study


def _is_part(name: str) -> bool:
    return name in algorithm_names() and stage_of(name) is Stage.PARTS


def _stage(name: str) -> int:
    """What a step changes; 0 for ranges of an observer."""
    return stage_of(name) if name in algorithm_names() else 0


def _with_repeats(name: str, before: Sequence[str]) -> Callable[[Study], Study | None]:
    """An algorithm that rewrites the model, or its ranges, is scored with biases corrected anew."""
    repeats = [one for one in before if stage_of(one) is Stage.BIAS]
    if stage_of(name) not in (Stage.MODEL, Stage.RANGES) or not repeats:
        return algorithm(name)

    def run(study: Study) -> Study | None:
        changed = algorithm(name)(study)
        for repeat in repeats:
            changed = changed and (algorithm(repeat)(changed) or changed)
        return changed

    return run


def _gives_room(name: str) -> bool:
    """Whether a step clips less of what no sample has shown, which held-out ones cannot prove."""
    return _stage(name) == Stage.RANGES


def _verdict(gain: Gain, counts: bool) -> str:
    if counts:
        return "kept" if gain.counts else "kept, as it clips less and loses no more than chance"
    return "dropped, as it may be chance" if gain.decibels > LEAST else "dropped"
