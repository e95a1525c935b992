"""What Optuna is asked: distributions of the dimensions, and who samples them."""

from __future__ import annotations

import itertools
import json
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from snapq.searching.space import Choices, Dimension, Space
from snapq.searching.storing import library

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

CONSTRAINTS = "constraints"
"""The attribute of a trial with how far it is beyond each limit; 0 and less keeps it."""
SAMPLERS = ("tpe", "nsga-2", "random")
_POPULATION = 12
_STARTUP = 10


def sampler(name: str, seed: int) -> BaseSampler:
    """Who proposes points.

    `tpe`: Ozaki et al., "Multiobjective tree-structured Parzen estimator" (2022), with all
    dimensions drawn together: few points of a space are good, and those are so by several choices
    at once. `nsga-2`: Deb et al. (2002); `random` is there to compare with.
    """
    made: Any = library().samplers
    with warnings.catch_warnings():
        # Optuna 5 has another way for trials of its own process; 4 has this one only.
        warnings.simplefilter("ignore")
        if name == "random":
            found: BaseSampler = made.RandomSampler(seed=seed)
        elif name == "nsga-2":
            found = made.NSGAIISampler(
                population_size=_POPULATION, seed=seed, constraints_func=_constraints
            )
        else:
            found = made.TPESampler(
                n_startup_trials=_STARTUP,
                multivariate=True,
                seed=seed,
                constraints_func=_constraints,
            )
    return found


def _constraints(trial: FrozenTrial) -> tuple[float, ...]:
    return tuple(trial.user_attrs.get(CONSTRAINTS, (0.0, 0.0, 0.0)))


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """What Optuna draws for each dimension: the place of a value, its text, or a number."""
    made: Any = library().distributions
    found: dict[str, BaseDistribution] = {}
    for one in space.dimensions:
        if one.values and one.ordered:
            found[one.key] = made.IntDistribution(0, len(one.values) - 1)
        elif one.values:
            found[one.key] = made.CategoricalDistribution(tuple(map(json.dumps, one.values)))
        elif one.whole:
            found[one.key] = made.IntDistribution(
                one.low, one.high, log=one.log, step=one.step or 1
            )
        else:
            found[one.key] = made.FloatDistribution(
                float(one.low), float(one.high), log=one.log, step=one.step
            )
    return found


def parameters(space: Space, choices: Choices) -> dict[str, Any]:
    """What Optuna would draw for a choice."""
    return {one.key: _parameter(one, choices[one.key]) for one in space.dimensions}


def _parameter(dimension: Dimension, value: Any) -> Any:
    if not dimension.values:
        return value
    if dimension.ordered:
        return dimension.values.index(value)
    return json.dumps(value)


def choices(space: Space, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """The choice that Optuna drew."""
    return {one.key: _value(one, drawn[one.key]) for one in space.dimensions}


def _value(dimension: Dimension, drawn: Any) -> Any:
    if not dimension.values:
        return drawn if dimension.whole else round(drawn, 10)
    if dimension.ordered:
        return dimension.values[drawn]
    return json.loads(drawn)


def at_random(space: Space, seed: str) -> dict[str, Any]:
    """Any choice, the same for the same seed."""
    draw = random.Random(seed)
    found: dict[str, Any] = {}
    for one in space.dimensions:
        if one.values:
            found[one.key] = draw.choice(one.values)
        elif one.count is not None:
            value = one.low + draw.randrange(one.count) * (one.step or 1)
            found[one.key] = value if one.whole else round(value, 10)
        else:
            found[one.key] = round(draw.uniform(one.low, one.high), 10)
    return found


def beside(space: Space, choices: Choices, seed: str) -> Iterator[dict[str, Any]]:
    """Choices that differ from one in a single dimension, then in two; each kind in any order.

    A dimension of numbers goes one step up or down, any other one to any value.
    """
    draw = random.Random(seed)
    near = list(_around(space, choices))
    draw.shuffle(near)
    yield from near
    further = [one for other in near for one in _around(space, other)]
    draw.shuffle(further)
    yield from further


def together(
    space: Space, own: Choices, good: Sequence[Choices], seed: str, count: int
) -> Iterator[dict[str, Any]]:
    """Choices with what two good ones changed, every second one with a further step.

    What is good alone is mostly good together, as times multiply and small losses add up.

    Args:
        space: what is varied.
        own: the choice that changes are counted from.
        good: choices out of which pairs are drawn.
        seed: of the draws.
        count: how many.
    """
    draw = random.Random(seed)
    for _ in range(count):
        one, other = draw.choice(good), draw.choice(good)
        found = {key: one[key] if one[key] != own[key] else other[key] for key in own}
        if one == other or draw.random() < 0.5:
            found = draw.choice(list(_around(space, found)) or [found])
        yield found


def _around(space: Space, choices: Choices) -> Iterator[dict[str, Any]]:
    """Choices that differ from one in a single dimension; those with steps alone are changed."""
    for one in space.dimensions:
        if one.count is None:
            continue
        values, value = _every(one), choices[one.key]
        at = values.index(value)
        near = {at - 1, at + 1} & set(range(len(values)))
        places = near if one.ordered or not one.values else set(range(len(values))) - {at}
        for place in sorted(places):
            yield {**choices, one.key: values[place]}


def some(space: Space, seed: str, most: int) -> Iterator[dict[str, Any]]:
    """Choices in any order: each of a small space once, of a large one so many."""
    if space.size > most:
        yield from (at_random(space, f"{seed} {index}") for index in range(most))
        return
    every = [_every(one) for one in space.dimensions]
    found = [
        {one.key: value for one, value in zip(space.dimensions, values, strict=True)}
        for values in itertools.product(*every)
    ]
    random.Random(seed).shuffle(found)
    yield from found


def _every(one: Dimension) -> Sequence[Any]:
    """All values of a dimension that has a number of them."""
    if one.values:
        return one.values
    numbers = [one.low + index * (one.step or 1) for index in range(one.count or 0)]
    return numbers if one.whole else [round(number, 10) for number in numbers]
