"""Recipes keep what helps on held-out samples, say so, and give legal models."""

import numpy as np
import pytest

import snapq
from snapq.config import QuantizeConfig
from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.errors import ConfigError
from snapq.evaluation.sqnr import sqnr
from snapq.graph import io
from snapq.precision import ActivationType, WeightType
from snapq.quantization.calibration.observers.minmax import MinMax
from snapq.quantization.calibration.observers.moving_average import MovingAverage
from snapq.quantization.calibration.observers.mse import Mse
from snapq.quantization.calibration.observers.percentile import Percentile
from snapq.quantization.lint.run import lint
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.quantize import quantize
from snapq.quantization.tuning.algorithms.base import FORMER_NAMES, algorithm_names
from snapq.quantization.tuning.judges import Judges
from snapq.quantization.tuning.presets import (
    PRESETS,
    Recipe,
    tune,
)
from snapq.quantization.tuning.score import Score, score
from snapq.stages.base import Context, Input
from snapq.stages.quantize.job import quantization_job
from snapq.stages.quantize.stage import reads
from tests.quantization.odd_models import MODELS, Builder, feeds, scalar

pytestmark = pytest.mark.slow


def deep(layers=4):
    """Depthwise and pointwise convolutions, some channels much larger than others."""
    b = Builder()
    y = b.feed("x", 1, 8, 10, 10)
    for _ in range(layers):
        size = np.exp(b.random.normal(size=(8, 1, 1, 1))).astype(np.float32)
        y = b.add("Conv", y, b.normal(8, 1, 3, 3) * size, b.normal(8), group=8, pads=[1, 1, 1, 1])
        y = b.add("Clip", y, scalar(0), scalar(6))
        y = b.add("Conv", y, b.normal(8, 8, 1, 1), b.normal(8))
    return b.model(b.add("GlobalAveragePool", y))


def judged(model, result, samples):
    there, here = CpuModel(model).session, CpuModel(result, optimize=False).session
    signal = noise = 0.0
    for sample in samples:
        truth, found = there.run(None, sample)[0], here.run(None, sample)[0]
        signal += float(np.square(truth).sum())
        noise += float(np.square(truth - found).sum())
    return sqnr(signal, noise)


@pytest.mark.parametrize("activations", ["uint8", "uint16"])
@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_best_is_better_than_ranges_alone_on_samples_that_neither_saw(weights, activations):
    model, scheme = deep(), Scheme(WeightType(weights), ActivationType(activations))
    recipes = {"ranges": Recipe(), "best": PRESETS["best"]}
    results = {name: tune(model, feeds(model, 40), scheme, one) for name, one in recipes.items()}
    found = {name: judged(model, r.model, feeds(model, 8, seed=9)) for name, r in results.items()}
    assert found["best"] > found["ranges"] + 1.0
    assert lint(results["best"].model, 73) == ()
    assert "held-out" in results["best"].notes[-1].text


def test_fast_is_plain_quantization():
    model = deep(2)
    plain = quantize(model, feeds(model, 8), Scheme())
    fast = tune(model, feeds(model, 8), Scheme(), PRESETS["fast"])
    assert io.serialized(plain.model) == io.serialized(fast.model)


def test_what_does_not_help_is_dropped_and_named():
    model = deep(2)
    recipe = Recipe((MinMax(), MovingAverage()))
    samples = [
        {name: value * (1 if index % 4 == 3 else 0.2) for name, value in sample.items()}
        for index, sample in enumerate(feeds(model, 20))
    ]
    notes = " ".join(map(str, tune(model, samples, Scheme(), recipe).notes))
    assert "moving-average ranges" in notes
    assert "dropped" in notes


def test_what_helps_the_held_out_samples_alone_is_luck():
    b = Builder()
    model = b.model(b.add("Conv", b.feed("x", 1, 8, 10, 10), b.normal(8, 8, 1, 1)))
    samples = [
        {name: value * (0.1 if index % 4 == 3 else 1) for name, value in sample.items()}
        for index, sample in enumerate(feeds(model, 20))
    ]
    samples = [{name: np.float32(value) for name, value in one.items()} for one in samples]
    result = tune(model, samples, Scheme(), Recipe((MinMax(), Percentile(90.0))))
    assert "dropped, as the samples that it was made from lose" in result.notes[0].text
    assert io.serialized(result.model) == io.serialized(quantize(model, samples, Scheme()).model)


def test_ranges_are_tried_again_behind_what_hid_their_gain():
    model, recipe = deep(), Recipe((MinMax(), Mse()), ("bias-correction",))
    told = tune(model, feeds(model, 40), Scheme(), recipe).notes[0].text
    steps = [step.rsplit(", ", 1) for step in told.rstrip(".").split("; ")]
    assert [verdict for _, verdict in steps] == ["dropped", "kept", "kept"]
    assert "mse ranges" in steps[0][0]
    assert "then mse ranges" in steps[2][0]


@pytest.mark.parametrize(("largest", "advised"), [(1.0, False), (300.0, True)])
def test_a_model_far_from_float_comes_with_advice(largest, advised):
    b = Builder()
    x = b.feed("x", 1, 8, 10, 10)
    size = np.ones((1, 8, 1, 1), np.float32)
    size[0, 0] = largest
    weight = b.normal(8, 8, 1, 1)
    weight[:, 0] /= largest**2
    model = b.model(b.add("Conv", b.add("Add", b.add("Mul", x, size), x), weight))
    notes = tune(model, feeds(model, 20), Scheme(), Recipe((MinMax(), Mse()))).notes
    assert any("try `activations: uint16`" in note.text for note in notes) == advised


@pytest.mark.parametrize(
    "name",
    ["transformer_block", "squeeze_excite_and_residual", "shared_weights", "recurrent", "embedding",
     "passed_through", "islands_of_float", "huge_bias_and_dead_channel"],
)  # fmt: skip
def test_every_algorithm_leaves_odd_models_legal_and_near(name):
    model = MODELS[name]()
    recipe = Recipe(algorithms=algorithm_names())
    result = tune(model, feeds(model, 10), Scheme(), recipe)
    assert lint(result.model, 73) == ()
    again = tune(model, feeds(model, 10), Scheme(), recipe)
    assert io.serialized(result.model) == io.serialized(again.model)


def test_the_runner_has_the_last_word():
    model = deep(2)
    asked = []

    def contrary(candidate, samples):
        asked.append(candidate)
        session = CpuModel(model if len(asked) == 1 else candidate).session
        for sample in samples:
            names = [output.name for output in session.get_outputs()]
            yield dict(zip(names, session.run(names, sample), strict=True))

    result = tune(
        model, feeds(model, 40), Scheme(), PRESETS["balanced"], judges=Judges(runner=contrary)
    )
    plain = quantize(model, feeds(model, 40), Scheme())
    assert len(asked) > 1
    assert io.serialized(result.model) == io.serialized(plain.model)
    assert "On the simulator" in result.notes[-1].text


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'bias-correction'"):
        tune(deep(1), [], Scheme(), Recipe(algorithms=("bias_correction",)))


def test_the_preset_reaches_the_quantizer(tmp_path):
    model = deep(1)
    io.save(model, tmp_path / "model.onnx")
    notes = {
        preset: snapq.quantize(
            tmp_path / "model.onnx",
            feeds(model, 10),
            preset=preset,
            output=tmp_path / f"{preset}.onnx",
            devices=["sm8650"],
        ).notes
        for preset in ("fast", "balanced")
    }
    assert "held-out" not in " ".join(notes["fast"])
    assert "bias-correction" in " ".join(notes["balanced"])


def test_former_names_of_algorithms_go_on_working_with_a_note():
    options = QuantizeConfig(algorithms=("learned-rounding", "bias-correction"))
    context = Context(reads(options), {Input.DEVICES: (find("sm8650"),)})
    job = quantization_job(deep(1), options, context)
    assert job.recipe.algorithms == ("adaround", "bias-correction")
    assert [str(note) for note in job.notes] == [
        "The algorithm `learned-rounding` is called `adaround` now."
    ]


@pytest.mark.parametrize("former", FORMER_NAMES)
def test_a_former_name_is_that_of_an_algorithm_that_there_is(former):
    assert former not in algorithm_names()
    assert FORMER_NAMES[former] in algorithm_names()


@pytest.mark.parametrize(("spread", "counts"), [(0.0, True), (2.0, True), (9.0, False)])
def test_a_gain_that_single_samples_make_or_unmake_is_chance(spread, counts):
    signal = np.ones((12, 1))
    before = Score(signal, np.full((12, 1), 1e-3))
    decibels = 1.0 + spread * np.array([1.0, -1.0] * 6)
    after = Score(signal, before.noise / 10 ** (decibels / 10)[:, None])
    gain = after.over(before)
    assert gain.counts is counts


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_samples_can_be_scored_too(count):
    before, after = (Score(np.ones((count, 2)), np.full((count, 2), n)) for n in (0.1, 0.01))
    assert after.over(before).decibels == pytest.approx(10.0)
    assert after.over(before).counts


def test_a_step_that_makes_one_output_clearly_worse_than_plain_is_spoilt():
    plain = Score(np.ones((12, 2)), np.array([[1e-1, 10**-3.55]] * 12))  # 10 and 35.5 dB
    better = Score(np.ones((12, 2)), np.array([[1e-3, 10**-3.17]] * 12))  # 30 and 31.7 dB
    assert better.over(plain).counts
    assert better.spoils(plain)
    little = Score(np.ones((12, 2)), np.array([[1e-3, 10**-3.51]] * 12))
    assert not little.spoils(plain)
    high = Score(np.ones((12, 2)), np.array([[1e-7, 10**-6.5]] * 12))
    assert not high.spoils(Score(np.ones((12, 2)), np.array([[1e-7, 1e-9]] * 12)))


def test_scores_beside_boxes_count_as_an_output_of_their_own():
    rng = np.random.default_rng(3)
    boxes, scores = 600 * rng.random((4, 1, 4, 50)), rng.random((4, 1, 8, 50))
    truths = [{"y": np.concatenate(pair, axis=1)} for pair in zip(boxes, scores, strict=True)]
    dead = [
        {"y": np.concatenate([b + 0.1, 0 * s], axis=1)} for b, s in zip(boxes, scores, strict=True)
    ]
    found = score(truths, dead)
    assert found.signal.shape == (4, 2)
    worst = 10 * np.log10(found.signal.sum(0) / found.noise.sum(0)).min()
    assert worst == pytest.approx(0.0, abs=1e-6)
    assert found.decibels < 40, "as a whole it would be above 70 dB"
