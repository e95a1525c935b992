"""A large forest is judged by a share of its trees, and compiled whole in the best shape of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from snapq.classical.trees import candidates, encoding, large
from snapq.classical.trees.candidates import Candidate
from snapq.classical.trees.encoding import Encoding
from snapq.classical.trees.forest import Forest, gather
from snapq.classical.trees.plan import Plan, Shape
from snapq.devices.profiles import find
from snapq.npu.model import Memory, Model
from tests.classical.trees.forests import Kind, estimator

pytestmark = [pytest.mark.npu, pytest.mark.slow]
QCS9075 = find("qcs9075")


@pytest.fixture(scope="module")
def forest() -> Forest:
    return gather([estimator(0, Kind(trees=1000, depth=6, features=12, ragged=False))])


def plan(trees: Forest, chosen: Encoding, shape: Shape) -> Plan:
    return Plan(trees, chosen, shape, 128, 24)


def estimated(one: Plan) -> Candidate:
    return candidates.estimate(one, [QCS9075], Memory())


def test_a_share_tells_what_the_whole_takes(forest: Forest) -> None:
    assert forest.leaves > large.SHARE
    ranks = [made for made in [encoding.ranks(forest)] if made]
    share = large.expected(forest, ranks, plan, estimated)
    assert len(share.plan.forest.trees) == 1000
    assert estimated(share.plan).us == pytest.approx(share.us, rel=0.15)


def test_the_whole_is_compiled_when_it_is_asked_for(forest: Forest) -> None:
    limbs, compiled = encoding.limbs(forest), []

    def watched(one: Plan) -> Candidate:
        compiled.append(len(one.forest.trees))
        return Candidate(one, float(one.shape.width), 1.0, Model(one.model(), QCS9075))

    found: Iterator[Candidate] = large.search(forest, [limbs], plan, watched, lambda _: None)
    assert max(compiled) < 1000
    assert next(found).plan.forest is forest
    assert compiled.count(1000) == 1
