"""The fastest candidate that is exact on every chip is taken; what cannot be is refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snapq.classical.estimator import Estimator
from snapq.classical.program import Program
from snapq.classical.trees import encoding, lower
from snapq.classical.trees.candidates import Candidate
from snapq.classical.trees.digits import EXACT_BITS
from snapq.classical.trees.forest import gather
from snapq.classical.trees.lower import first_exact
from snapq.classical.trees.plan import Plan, Shape
from snapq.devices.profiles import find
from snapq.errors import ModelError, QnnError
from snapq.npu.model import Memory, Model
from snapq.progress import Silent
from tests.classical.trees.forests import Kind, ensemble, estimator

QCS9075 = find("qcs9075")


@pytest.mark.npu
@pytest.mark.slow
def test_lowered_trees_give_the_sums_of_their_ensembles() -> None:
    estimators = [estimator(0, Kind(trees=20)), estimator(1, Kind(trees=9, targets=3), "_b")]
    lowered = lower(estimators, 50, [QCS9075, find("qcs6490")])
    assert lowered.exact
    rng = np.random.default_rng(0)
    rows = {e.rows: rng.standard_normal((50, 3)).astype(np.float32) for e in estimators}
    fed = Program(tuple(rows), lowered.inputs, lowered.encode).run(rows)
    (given,) = Model(lowered.model, QCS9075).simulate([fed])
    decode = Program(lowered.outputs, tuple(e.sums for e in estimators), lowered.decode)
    sums = decode.run({name: given[name] for name in lowered.outputs})
    for one, form in zip(estimators, gather(estimators).ensembles, strict=True):
        np.testing.assert_allclose(sums[one.sums], form.sums(rows[one.rows]), atol=1e-6)


@pytest.mark.npu
def test_a_candidate_that_is_not_exact_is_dropped_and_the_next_is_taken() -> None:
    wrong, right = _candidate(0, another=1), _candidate(0, another=0)
    plan = first_exact([wrong, right], [QCS9075], Memory(), Silent())
    assert plan is right.plan


@pytest.mark.npu
def test_where_none_is_exact_the_error_names_it() -> None:
    with pytest.raises(QnnError, match=r"trees_0: No way .*32x32, ranks: \d+ of 256 rows on qcs9"):
        first_exact([_candidate(0, another=1)], [QCS9075], Memory(), Silent())


def _candidate(seed: int, *, another: int) -> Candidate:
    """A candidate for one ensemble, with the model of another that has the same conditions."""
    kind = Kind(trees=2, depth=2, ragged=False)
    mine = ensemble(seed, kind)
    values = np.where(mine.condition[:, None] < 0, ensemble(another, kind).values[::-1], 0)
    other = mine if another == seed else replace(mine, values=values)
    plan, foreign = (_plan(Estimator(form, "rows", "sums")) for form in (mine, other))
    return Candidate(plan, 1.0, 1.0, Model(foreign.model(), QCS9075))


def _plan(one: Estimator) -> Plan:
    forest = gather([one])
    ranks = encoding.ranks(forest)
    assert ranks
    return Plan(forest, ranks, Shape(32, 1, 1), 256, EXACT_BITS)


TOO_LARGE = r"trees_0: [\d,]+ trees with [\d,]+ leaves would take \d+ MB .* more than the 120 MB"


def test_trees_that_are_too_large_are_refused_before_any_work() -> None:
    form = ensemble(0, Kind(trees=1, depth=10, features=40, ragged=False))
    many = replace(form, roots=np.zeros(3000, np.int32))
    with pytest.raises(ModelError, match=TOO_LARGE):
        lower([Estimator(many, "rows", "sums")], 8, [QCS9075])


def test_trees_that_always_say_the_same_are_refused() -> None:
    with pytest.raises(ModelError, match="Every row gets the same result"):
        lower([estimator(0, Kind(depth=0))], 8, [QCS9075])


def test_leaves_that_are_not_finite_are_refused() -> None:
    form = ensemble(0, Kind())
    values = np.where(form.values != 0, np.inf, 0)
    with pytest.raises(ModelError, match="A leaf adds a value that is not finite"):
        lower([Estimator(replace(form, values=values), "rows", "sums")], 8, [QCS9075])
