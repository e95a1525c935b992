"""Taylor importance finds the channels that the outputs miss least."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.pruning.groups import find
from snapq.pruning.surgery import cut
from snapq.training.taylor import taylor
from tests.training.models import Pictures, residual_network


def damage(model: ir.Model, cut_model: ir.Model) -> float:
    """Energy of the change of the outputs over that of the outputs."""
    before, after = (CpuModel(m).session for m in (model, cut_model))
    lost = total = 0.0
    for item in Pictures(16, seed=5):
        (reference,), (found,) = before.run(["y"], item.feeds), after.run(["y"], item.feeds)
        lost += float(np.square(found - reference).sum())
        total += float(np.square(reference).sum())
    return lost / total


def test_channels_that_matter_least_go_first() -> None:
    model = residual_network(channels=32)
    structure = find(model)
    rankings = taylor(structure, (item.feeds for item in Pictures(16)))
    for ranking in rankings:
        half = ranking.group.channels // 2
        least, most = ranking.order[:half], ranking.order[half:]
        assert damage(model, cut(structure, least)) < damage(model, cut(structure, most))
        assert ranking.loss[0] == 0
        assert (np.diff(ranking.loss) >= 0).all()


def test_the_ranking_follows_from_the_seed() -> None:
    structure = find(residual_network())
    first, second = (
        taylor(structure, (item.feeds for item in Pictures(4)), seed=1) for _ in range(2)
    )
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.order, other.order)
        np.testing.assert_array_equal(one.loss, other.loss)
