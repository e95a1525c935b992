"""Draws recipes: the same seed and index give the same graph."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.hunt.operators import EMITTERS, TABLE
from benchmarks.hunt.operators.table import CHANNELS, TOKENS, Rng, chance, large_map, pick, size
from benchmarks.hunt.recipe import (
    DATA_KINDS,
    LARGE,
    SMALL,
    Builder,
    ImpossibleError,
    Recipe,
    Settings,
    Shape,
    Step,
    Value,
)

_NAMES = tuple(TABLE)
_WEIGHTS = np.array([TABLE[name].weight for name in _NAMES])
_TRIES = 30


def draw(seed: int, index: int, large: bool = False) -> Recipe:
    """Graph number `index` of a seed: two to five operators, one after the other or branched.

    Args:
        seed: of all graphs.
        index: which one.
        large: of the shapes of a network's layers.
    """
    rng = np.random.default_rng([seed, index])
    while True:
        found = _attempt(rng, large)
        if found is not None:
            return found


def _attempt(rng: Rng, large: bool) -> Recipe | None:
    """One recipe; None where it came to an end too early."""
    shape = _large_shape(rng) if large else _input_shape(rng)
    data = pick(rng, DATA_KINDS) if chance(rng, 0.5) else "normal"
    inputs, kinds = [shape], [data]
    if chance(rng, 0.15):
        inputs.append(shape)
        kinds.append("normal")
    builder = Builder(limits=LARGE if large else SMALL)
    values = [Value(f"x{index}", one) for index, one in enumerate(inputs)]
    steps: list[Step] = []
    for _ in range(int(rng.integers(2, 6))):
        step = _next(rng, builder, values)
        if step is None:
            return None
        steps.append(step)
    if not any(0 in step.inputs for step in steps):  # a first operator that was not possible
        return None
    if len(inputs) > 1 and not any(1 in step.inputs for step in steps):
        inputs, kinds = inputs[:1], kinds[:1]
        steps = [_renumbered(step) for step in steps]
    outputs = ()
    if chance(rng, 0.15):
        outputs = (len(inputs) + int(rng.integers(len(steps))),)
    seed = int(rng.integers(1 << 30))
    return Recipe(tuple(inputs), tuple(kinds), tuple(steps), outputs, seed)


def _renumbered(step: Step) -> Step:
    """A step behind the second input, which is gone."""
    inputs = tuple(index - (index > 1) for index in step.inputs)
    return Step(step.operator, inputs, step.settings, step.seed)


def _input_shape(rng: Rng) -> Shape:
    """A map, a volume, tokens, rows of features, or a sequence."""
    kind = rng.random()
    batch = 1 if chance(rng, 0.85) else int(rng.integers(2, 5))
    while True:
        if kind < 0.45:
            shape: Shape = (batch, size(rng), size(rng), size(rng))
        elif kind < 0.55:
            shape = (batch, size(rng), *(int(one) for one in rng.integers(1, 13, 3)))
        elif kind < 0.85:
            shape = (batch, size(rng), size(rng))
        else:
            shape = (batch if chance(rng, 0.6) else size(rng), size(rng))
        if math.prod(shape) <= SMALL.inputs:
            return shape


def _large_shape(rng: Rng) -> Shape:
    """A map, tokens or heads of them."""
    kind = rng.random()
    while True:
        if kind < 0.55:
            shape: Shape = (1, *large_map(rng))
        elif kind < 0.85:
            shape = (1, pick(rng, TOKENS), pick(rng, CHANNELS[1:]))
        else:
            shape = (1, pick(rng, (2, 4, 8, 12)), pick(rng, TOKENS), pick(rng, (16, 32, 64)))
        if math.prod(shape) <= LARGE.inputs:
            return shape


def _next(rng: Rng, builder: Builder, values: list[Value]) -> Step | None:
    """A step that fits what there is; its value is added. None where none was found."""
    for _ in range(_TRIES):
        first = not builder.nodes  # a second input is an operand only
        source = 0 if first else len(values) - 1
        if not first and chance(rng, 0.15):
            source = int(rng.integers(len(values)))
        rank = len(values[source].shape)
        allowed = np.array([rank in TABLE[name].ranks for name in _NAMES])
        shares = _WEIGHTS * allowed
        name = _NAMES[int(rng.choice(len(_NAMES), p=shares / shares.sum()))]
        row = TABLE[name]
        inputs = (source, *_others(rng, values, source, row.operands - 1))
        settings: Settings = row.draw(rng, values[source].shape)
        step = Step(name, inputs, settings, int(rng.integers(1 << 30)))
        builder.rng = np.random.default_rng(0)
        try:
            value = EMITTERS[name](builder, [values[index] for index in inputs], settings)
        except ImpossibleError:
            continue
        values.append(value)
        return step
    return None


def _others(rng: Rng, values: list[Value], source: int, count: int) -> tuple[int, ...]:
    """Further operands, sooner those of the same shape or rank."""
    if not count:
        return ()
    shape = values[source].shape
    same = [i for i, one in enumerate(values) if one.shape == shape and i != source]
    alike = [i for i, one in enumerate(values) if len(one.shape) == len(shape)]
    return tuple(pick(rng, same if same and chance(rng, 0.8) else alike) for _ in range(count))
