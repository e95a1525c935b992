"""Training brings a graph nearer to its float original, the same way each time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snapq.errors import DataError
from snapq.graph import io
from snapq.precision import WeightType
from snapq.progress import Silent
from snapq.quantization.lint.run import lint
from snapq.training.batches import Batches
from snapq.training.options import LossWeights, TrainingOptions
from snapq.training.train import Trained, train
from tests.training.models import (
    SHAPE,
    Pictures,
    constants,
    quantized,
    residual_network,
    shifted,
)

pytestmark = pytest.mark.slow

OPTIONS = TrainingOptions(epochs=None, steps=40, rate=1e-2, batch=8, patience=100)


class KilledError(Exception):
    """Stands for a signal."""


class KilledAt(Silent):
    """A progress that dies when the story comes to a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def say(self, text: str) -> None:
        if text.startswith(f"Step {self.step} "):
            raise KilledError


def drop(trained: Trained) -> float:
    return trained.best.held_out / trained.curve[0].held_out


def test_a_float_graph_learns_its_original_without_labels() -> None:
    original = residual_network()
    trained = train(shifted(original, 0.2), original, Pictures(64), OPTIONS)
    assert drop(trained) < 0.2
    assert constants(trained.model).keys() == constants(original).keys()


@pytest.mark.parametrize(
    ("weights", "rate", "reached"), [(WeightType.INT8, 1e-3, 0.9), (WeightType.INT4, 1e-2, 0.3)]
)
def test_a_quantized_graph_learns_and_stays_legal(
    weights: WeightType, rate: float, reached: float
) -> None:
    original = residual_network()
    held = quantized(original, weights)
    options = replace(OPTIONS, rate=rate)
    trained = train(held, original, Pictures(64), options, latent=constants(original))
    assert drop(trained) < reached
    assert lint(trained.model, 73) == ()
    before, after = constants(held), constants(trained.model)
    assert {n: (a.dtype, a.shape) for n, a in before.items()} == {
        n: (a.dtype, a.shape) for n, a in after.items()
    }
    scales = [name for name in before if name.endswith("_scale") and name != "x_scale"]
    assert any(not np.array_equal(before[name], after[name]) for name in scales)


def test_labels_are_learned_where_they_are_given() -> None:
    original = residual_network()
    options = replace(OPTIONS, losses=LossWeights(output=0, feature=0, label=1), held_out=0.25)
    trained = train(original, original, Pictures(64, labels=4), options)
    # Random pictures teach nothing about others; that the loss of the batches falls is enough.
    losses = [point.trained for point in trained.curve if point.trained is not None]
    assert losses[-1] < 0.8 * losses[0]


def test_training_gives_the_same_bytes_also_after_it_was_killed(tmp_path: Path) -> None:
    original = residual_network()
    model = quantized(original)
    options = replace(OPTIONS, steps=24, augment=("flip", "crop", "mix"))
    checkpoint = tmp_path / "state.checkpoint"
    whole = train(model, original, Pictures(40), options)
    with pytest.raises(KilledError):
        train(
            model,
            original,
            Pictures(40),
            options,
            checkpoint=checkpoint,
            progress=KilledAt(13),
        )
    resumed = train(model, original, Pictures(40), options, checkpoint=checkpoint)
    assert io.serialized(resumed.model) == io.serialized(whole.model)
    assert resumed.curve == whole.curve


def test_what_is_best_already_stays_as_it_is() -> None:
    original = residual_network()
    trained = train(original, original, Pictures(32), replace(OPTIONS, steps=40, patience=2))
    assert io.serialized(trained.model) == io.serialized(original)
    assert trained.steps < 40
    assert any("Stopped" in note for note in trained.notes)


def test_a_rate_that_breaks_the_model_keeps_the_best_state() -> None:
    original = residual_network()
    trained = train(shifted(original, 0.2), original, Pictures(32), replace(OPTIONS, rate=1.0))
    assert np.isfinite(trained.best.held_out)
    assert all(np.isfinite(array).all() for array in constants(trained.model).values())


def test_one_sample_is_not_enough() -> None:
    original = residual_network()
    with pytest.raises(DataError, match="1 sample"):
        train(original, original, Pictures(1), OPTIONS)


def test_a_large_set_streams_through_a_small_buffer() -> None:
    size = int(np.prod(SHAPE)) * 4 + 8
    whole, buffered = Pictures(50), Pictures(50)
    kept = Batches(whole, 8, 0.1, seed=0)
    streamed = Batches(buffered, 8, 0.1, seed=0, memory=10 * size)

    def seen(batches: Batches, epoch: int) -> list[float]:
        return [float(item.feeds["x"].sum()) for batch in batches.epoch(epoch) for item in batch]

    assert sorted(seen(kept, 0)) == sorted(seen(streamed, 0))
    assert len(seen(streamed, 0)) == kept.trained == 45
    assert seen(streamed, 0) == seen(streamed, 0) != seen(streamed, 1)
    assert whole.readings == 1 < buffered.readings
