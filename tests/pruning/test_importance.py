"""Rankings find what does nothing, and repair makes up for what can be made up for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapq.npu.memory import Memory
from snapq.pipeline.cache import Cache
from snapq.progress import Silent
from snapq.pruning import importance, statistics
from snapq.pruning.blas import _threads, one_thread
from snapq.pruning.groups import Structure, find
from snapq.pruning.prune import kept, ranked_by
from snapq.pruning.repair import RIDGES, _best_ridge, _Sums, repair, solve
from snapq.pruning.sensitivity import sensitivities, weigh
from snapq.pruning.sites import sites
from snapq.pruning.statistics import Samples, moments, read_once
from snapq.pruning.surgery import cut
from snapq.ranking import Importance
from tests.graph.models import run
from tests.quantization.odd_models import Builder

SILENT, COPY = 2, 5
"""A channel that is always zero, and one that is channel 0 once more."""


@pytest.fixture(scope="module")
def structure() -> Structure:
    build = Builder()
    weight = build.normal(8, 3, 1, 1)
    weight[COPY] = weight[0]
    weight[SILENT] = 0
    hidden = build.add("Relu", build.add("Conv", build.feed("x", 1, 3, 9, 9), weight))
    return find(build.model(build.add("Conv", hidden, build.normal(4, 8, 1, 1), build.normal(4))))


def samples() -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(3)
    return [{"x": random.normal(size=(1, 3, 9, 9)).astype(np.float32)} for _ in range(6)]


def order_of(ranking: importance.Ranking) -> list[int]:
    return [int(np.flatnonzero(ranking.group.labels == label)[0]) for label in ranking.order]


def test_a_ranking_is_made_once_and_kept_to_the_bit(structure: Structure, tmp_path: Path) -> None:
    asked: list[str] = []

    class Told(Silent):
        def track(self, title: str, total: int | None = None):
            asked.append(title)
            return super().track(title, total)

    def ranking() -> importance.Ranking:
        memory = Memory(Cache(tmp_path))
        rank = kept(
            ranked_by(Importance.SECOND_ORDER),
            lambda make, read: memory.recall("ranking", {"model": 1}, make, read),
        )
        (found,) = rank(structure, samples, Told())
        return found

    first, again = ranking(), ranking()
    assert asked == ["Watch channels", "Try groups"]
    assert first.order.tobytes() == again.order.tobytes()
    assert first.loss.tobytes() == again.loss.tobytes()


def test_products_take_one_thread_and_then_as_many_as_before() -> None:
    found = _threads()
    if found is None:
        pytest.skip("NumPy has another library than OpenBLAS here.")
    before = found[0]()
    with one_thread():
        assert found[0]() == 1
    assert found[0]() == before


def test_few_samples_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []

    def read() -> list[dict[str, np.ndarray]]:
        reads.append(1)
        return samples()

    def total(found: Samples) -> float:
        return sum(float(one["x"].sum()) for one in found())

    few = read_once(read)
    assert total(few) == total(few) == total(samples)
    assert len(reads) == 1
    monkeypatch.setattr(statistics, "_KEPT", 100)
    many = read_once(read)
    assert total(many) == total(many) == total(samples)
    assert len(reads) == 3


def test_a_silent_channel_goes_first(structure: Structure) -> None:
    places = sites(structure)
    seen = moments(structure.model, places, samples)
    (ranking,) = importance.activation_weighted(structure, places, seen)
    assert order_of(ranking)[0] == SILENT
    assert ranking.loss[1] == 0
    assert np.all(np.diff(ranking.loss) >= 0)


def test_second_order_sees_that_others_can_stand_in(structure: Structure) -> None:
    places = sites(structure)
    seen = moments(structure.model, places, samples)
    (ranking,) = importance.second_order(structure, places, seen)
    assert set(order_of(ranking)[:2]) in ({SILENT, 0}, {SILENT, COPY})
    assert ranking.loss[2] < 1e-3


def test_the_weights_behind_a_copy_are_refitted_exactly(structure: Structure) -> None:
    (group,) = structure.groups
    gone = group.labels[[SILENT, COPY]]
    model = cut(structure, gone)
    feeds = samples()[0]
    wanted = run(structure.model, feeds)[0]
    before = np.abs(run(model, feeds)[0] - wanted).max()
    (repaired,) = repair(structure, model, gone, sites(structure), samples)
    after = np.abs(run(model, feeds)[0] - wanted).max()
    assert after < 0.05 * before
    assert repaired.after < 0.01 * repaired.before


@given(st.integers(0, 1000), st.integers(2, 6), st.integers(1, 4))
def test_the_refit_is_what_numpy_finds(seed: int, left: int, more: int) -> None:
    random = np.random.default_rng(seed)
    z = random.normal(size=(400, left))
    x = np.concatenate([z, z @ random.normal(size=(left, more))], axis=1)
    kept = np.arange(left + more) < left
    found = solve(z.T @ z, x.T @ z, kept, 1e-3)
    expected = np.linalg.lstsq(z, x, rcond=None)[0].T
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_few_noisy_samples_are_not_fitted_to_the_last_digit() -> None:
    random = np.random.default_rng(0)
    kept = np.arange(12) < 8
    rows = random.normal(size=(12, 5))

    def sums(places: int, noise: float) -> _Sums:
        z = random.normal(size=(places, 8))
        x = np.concatenate([z, noise * random.normal(size=(places, 4))], axis=1)
        return _Sums.none(12, 8).with_places(x, z)

    judging = sums(4000, 1.0)
    ridge = _best_ridge(sums(12, 1.0), judging, kept, rows, biased=True)
    assert ridge == max(RIDGES)  # nothing to find: the pull to what is left wins


def test_an_error_that_the_outputs_do_not_see_costs_nothing() -> None:
    build = Builder()
    data = build.feed("x", 1, 3, 5, 5)

    def branch(size: float) -> str:
        hidden = build.add("Relu", build.add("Conv", data, build.normal(8, 3, 1, 1)))
        return build.add("Conv", hidden, build.normal(4, 8, 1, 1, scale=size))

    network = find(build.model(build.add("Add", branch(1.0), branch(0.001))))
    places = sites(network)
    rankings = importance.activation_weighted(
        network, places, moments(network.model, places, small_samples)
    )
    loud, quiet = weigh(rankings, sensitivities(network, rankings, small_samples))
    assert 0.3 < rankings[0].loss[-1] / rankings[1].loss[-1] < 3
    assert loud.loss[-1] > 1000 * quiet.loss[-1]


def small_samples() -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(4)
    return [{"x": random.normal(size=(1, 3, 5, 5)).astype(np.float32)} for _ in range(4)]


def test_a_repair_that_may_hold_little_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    build = Builder()
    value, channels = build.feed("x", 1, 3, 5, 5), 3
    for outputs in (16, 12, 8, 4):
        value = build.add("Relu", build.add("Conv", value, build.normal(outputs, channels, 1, 1)))
        channels = outputs
    network = find(build.model(value))
    gone = np.concatenate([group.labels[: group.channels // 4] for group in network.groups])

    def repaired() -> list[np.ndarray]:
        model = cut(network, gone)
        assert len(repair(network, model, gone, sites(network), small_samples)) == 3
        return [one.const_value.numpy() for one in model.graph.initializers.values()]

    together = repaired()
    monkeypatch.setattr("snapq.pruning.repair._HELD", 1)
    for one, other in zip(together, repaired(), strict=True):
        np.testing.assert_array_equal(one, other)
