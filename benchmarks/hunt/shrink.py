"""Makes a recipe as small as it gets while it ends as it did."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from benchmarks.hunt.operators import EMITTERS
from benchmarks.hunt.recipe import Builder, ImpossibleError, Recipe, Shape, Step, Value, build_into

SIMPLER = {
    "bias": False,
    "weights": "normal",
    "group": 1,
    "multiplier": 1,
    "alpha": 1.0,
    "value": 0.0,
    "first": False,
    "of": "number",
    "scale": 1.0,
    "swap": False,
    "causal": False,
    "heads": 1,
    "k": 1,
    "ceil": False,
    "count": False,
    "single": False,
    "by_sizes": True,
    "mode": "constant",
    "swish": False,
    "channels": False,
    "operator": True,
    "depthwise": False,
}
"""The plainest value of a setting."""
_LISTS = {"kernel": 1, "strides": 1, "dilations": 1, "pads": 0, "output_padding": 0}
_COUNTS = ("out", "picks", "groups", "parts", "times")


def shrink(recipe: Recipe, holds: Callable[[Recipe], bool], limit_s: float = 15.0) -> Recipe:
    """The smallest recipe found in that time for which `holds` says yes."""
    end = time.monotonic() + limit_s
    changed = True
    while changed:
        changed = False
        for candidate in _smaller(recipe):
            if time.monotonic() > end:
                return recipe
            if _possible(candidate) and holds(candidate):
                recipe, changed = candidate, True
                break
    return recipe


def _smaller(recipe: Recipe) -> Iterator[Recipe]:
    """What may do instead, the largest leaps first."""
    yield from _fewer_steps(recipe)
    if recipe.outputs:
        yield replace(recipe, outputs=())
    yield from _smaller_inputs(recipe)
    yield from _simpler_settings(recipe)
    for index, kind in enumerate(recipe.data):
        if kind != "normal":
            data = [*recipe.data]
            data[index] = "normal"
            yield replace(recipe, data=tuple(data))


def _fewer_steps(recipe: Recipe) -> Iterator[Recipe]:
    """Without the last steps, without the first ones, or without one between."""
    count = len(recipe.steps)
    for end in range(1, count):
        yield _pruned(replace(recipe, steps=recipe.steps[:end], outputs=()))
    shapes = _shapes(recipe)
    first = len(recipe.inputs)
    for index in range(count):
        yield _cut_front(recipe, index, shapes[first + index])
        for operand in recipe.steps[index].inputs:
            yield _bypassed(recipe, index, operand)


def _cut_front(recipe: Recipe, index: int, shape: Shape) -> Recipe:
    """The value of a step becomes an input of the graph."""
    first = len(recipe.inputs)
    position = first + index  # of the value; the new input stands behind the others

    def moved(value: int) -> int:
        if value == position:
            return first
        return value + 1 if first <= value < position else value

    steps = [
        replace(step, inputs=tuple(map(moved, step.inputs)))
        for place, step in enumerate(recipe.steps)
        if place != index
    ]
    cut = Recipe((*recipe.inputs, shape), (*recipe.data, "normal"), tuple(steps), (), recipe.seed)
    return _pruned(cut, keep_last=True)


def _bypassed(recipe: Recipe, index: int, operand: int) -> Recipe:
    """Whatever reads a step reads one of its operands."""
    position = len(recipe.inputs) + index

    def moved(value: int) -> int:
        if value == position:
            return operand
        return value - 1 if value > position else value

    steps = [
        replace(step, inputs=tuple(map(moved, step.inputs)))
        for place, step in enumerate(recipe.steps)
        if place != index
    ]
    return _pruned(replace(recipe, steps=tuple(steps), outputs=()))


def _pruned(recipe: Recipe, *, keep_last: bool = True) -> Recipe:
    """Without the steps that do not lead to the last one, and without inputs that none reads."""
    first = len(recipe.inputs)
    needed = {first + len(recipe.steps) - 1} if keep_last else set()
    for index in reversed(range(len(recipe.steps))):
        if first + index in needed:
            needed.update(recipe.steps[index].inputs)
    order = sorted(needed)
    places = {value: place for place, value in enumerate(order)}
    kept = [index for index in order if index < first]
    steps = tuple(
        Step(step.operator, tuple(places[value] for value in step.inputs), step.settings, step.seed)
        for index, step in enumerate(recipe.steps)
        if first + index in needed
    )
    inputs = tuple(recipe.inputs[index] for index in kept)
    data = tuple(recipe.data[index] for index in kept)
    return Recipe(inputs, data, steps, (), recipe.seed)


def _smaller_inputs(recipe: Recipe) -> Iterator[Recipe]:
    """With a shorter axis; of all inputs of the same shape at once too."""
    for shape in sorted(set(recipe.inputs), key=math.prod, reverse=True):
        for axis, length in enumerate(shape):
            for shorter in dict.fromkeys((1, 2, 4, 8, 16, 32, length // 2, length - 1)):
                if 0 < shorter < length:
                    changed = (*shape[:axis], shorter, *shape[axis + 1 :])
                    inputs = tuple(changed if one == shape else one for one in recipe.inputs)
                    yield replace(recipe, inputs=inputs)


def _simpler_settings(recipe: Recipe) -> Iterator[Recipe]:
    for index, step in enumerate(recipe.steps):
        for key, value in step.settings.items():
            for plainer in _plainer(key, value):
                changed = replace(step, settings={**step.settings, key: plainer})
                steps = (*recipe.steps[:index], changed, *recipe.steps[index + 1 :])
                yield replace(recipe, steps=steps)


def _plainer(key: str, value: object) -> Iterator[object]:
    if key in SIMPLER and value != SIMPLER[key]:
        yield SIMPLER[key]
    if key in _LISTS and isinstance(value, list) and any(one != _LISTS[key] for one in value):
        yield [_LISTS[key]] * len(value)
    if key in _COUNTS and isinstance(value, int):
        yield from (one for one in (1, 2, 4, 8, 16, 32, value - 1) if 0 < one < value)


def _shapes(recipe: Recipe) -> list[Shape]:
    builder = Builder()
    values = [Value(f"x{index}", shape) for index, shape in enumerate(recipe.inputs)]
    for step in recipe.steps:
        operands = [values[index] for index in step.inputs]
        values.append(EMITTERS[step.operator](builder, operands, step.settings))
    return [value.shape for value in values]


def _possible(recipe: Recipe) -> bool:
    try:
        build_into(Builder(), recipe, EMITTERS)
    except (ImpossibleError, IndexError, ValueError):
        return False
    return True
