"""Who proposes points: better than chance where few points are good, and those by many choices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from snapq.searching.frontier import Point, hypervolume
from snapq.searching.plan import Plan
from snapq.searching.ranked import Told, good
from snapq.searching.sampling import beside, together
from snapq.searching.space import Dimension, Space
from snapq.searching.starting import started
from snapq.searching.study import Study
from snapq.searching.trial import COMPLETE, Limits, TrialOutcome

MAX_DROP = 0.1
SPACE = Space(
    (
        Dimension("stages.prune.ratio", (None, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)),
        Dimension("stages.prune.importance", ("activation", "second-order", "magnitude")),
        Dimension("stages.prune.most", (0.5, 0.6, 0.7, 0.8, 0.9)),
        Dimension("stages.quantize.preset", ("fast", "balanced")),
        Dimension("seed", (0, 1, 2, 3, 4, 5, 6)),
    )
)
BASE = {"name": "net", "stages": [{"prune": {}}, {"quantize": {}}], "seed": 0}
PLAN = Plan("net", BASE, "/nowhere", "sm8650", SPACE, tuple(started(SPACE, BASE, 10)), seed=0)


def measured(choices: dict) -> Point:
    """Time and loss of a made-up network: one dimension costs much and gains little."""
    ratio, narrow = choices["stages.prune.ratio"] or 0.0, choices["seed"] / 6
    ways = {"activation": 1.0, "second-order": 0.8, "magnitude": 1.4}
    loss = 2 * ways[choices["stages.prune.importance"]] * ratio**2.2
    loss += 0.3 * (choices["stages.prune.most"] - 0.5) + 0.4 * (narrow > 0) + 0.4 * narrow
    loss += 0.05 if choices["stages.quantize.preset"] == "fast" else 0.02
    return 100 * (1 - 0.7 * ratio) * (1.2 - 0.4 * choices["stages.prune.most"]), loss


def covered(folder: Path, sampler: str, seed: int, trials: int) -> float:
    """The hypervolume of what so many trials find that keeps the limit."""
    url = f"journal:{folder / f'{sampler}-{seed}.log'}"
    study, points = Study(url, "net", replace(PLAN, sampler=sampler, seed=seed)), []
    for _ in range(trials):
        spec = study.ask(Path("cache"), Limits(max_drop=MAX_DROP))
        assert spec is not None
        us, loss = measured(study.choices(spec.number))
        points.append((us, loss))
        study.tell(spec, TrialOutcome(spec.number, COMPLETE, us=us, loss=loss, config=spec.config))
    return hypervolume(points, (105.0, MAX_DROP))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_proposed_points_cover_more_than_random_ones(tmp_path: Path, seed: int) -> None:
    assert covered(tmp_path, "tpe", seed, 40) > 1.2 * covered(tmp_path, "random", seed, 40)


def test_choices_beside_one_differ_in_a_dimension_first_and_then_in_two() -> None:
    first = started(SPACE, BASE, 1)[0]
    found = list(beside(SPACE, first, "0"))
    apart = [sum(one[key] != first[key] for key in first) for one in found]
    steps = 1 + 2 + 1 + 1 + 1  # ratio, importance, most, preset, seed
    assert apart[:steps] == [1] * steps
    assert 2 in apart[steps:]
    assert {one["seed"] for one in found[:steps]} == {0, 1}


def test_what_two_good_choices_changed_is_tried_together() -> None:
    own = started(SPACE, BASE, 1)[0]
    parents = [{**own, "stages.prune.ratio": 0.2}, {**own, "stages.quantize.preset": "balanced"}]
    both = {**parents[0], "stages.quantize.preset": "balanced"}
    found = list(together(SPACE, own, parents, "0", 60))
    assert both in found
    for one in found:
        assert min(sum(one[key] != other[key] for key in own) for other in (both, *parents)) <= 1


def test_points_that_are_put_together_keep_the_limits_and_the_frontier_comes_first() -> None:
    points = {
        "slow": (90.0, 0.01),
        "quick": (50.0, 0.08),
        "beaten": (95.0, 0.02),
        "bad": (9.0, 0.3),
    }
    told = [
        Told({"name": name}, TrialOutcome(number, COMPLETE, us=us, loss=loss))
        for number, (name, (us, loss)) in enumerate(points.items())
    ]
    found = [one["name"] for one in good(told, Limits(max_drop=MAX_DROP), 8)]
    assert found == ["quick", "slow", "beaten"]
    assert good(told, Limits(max_drop=MAX_DROP), 1) == [{"name": "quick"}]
