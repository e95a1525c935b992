"""What moves factors and biases between layers leaves the network's outputs as they were."""

from dataclasses import replace

import numpy as np
import pytest

from snapq.cpu import CpuModel
from snapq.quantization.qdq.lowering.order import lifted
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.quantize import observe
from snapq.quantization.tuning.algorithms.base import Study, algorithm
from snapq.quantization.tuning.algorithms.cle import Reader, factors
from snapq.quantization.tuning.algorithms.ocs import copies
from snapq.quantization.tuning.channels.links import links
from snapq.quantization.tuning.channels.statistics import ChannelStatistics, channel_statistics
from tests.quantization.odd_models import Builder, feeds, scalar


def chain(activation):
    """Conv, depthwise Conv and Conv with an activation behind each, then Gemms."""
    b = Builder()
    spread = np.exp(b.random.normal(size=(16, 1, 1, 1)) * 1.5).astype(np.float32)
    y = b.feed("x", 1, 4, 8, 8)
    for weight, attributes in (
        (b.normal(16, 4, 1, 1) * spread, {}),
        (b.normal(16, 1, 3, 3) * spread, {"group": 16, "pads": [1, 1, 1, 1]}),
        (b.normal(8, 16, 1, 1), {}),
    ):
        y = b.add("Conv", y, weight, b.normal(len(weight)) + 1, **attributes)
        if activation == "Clip":
            y = b.add("Clip", y, scalar(0), scalar(6))
        elif activation == "PRelu":
            y = b.add("PRelu", y, np.abs(b.normal(len(weight), 1, 1)))
        else:
            y = b.add(activation, y)
    y = b.add("Flatten", b.add("GlobalAveragePool", y))
    y = b.add("Relu", b.add("Gemm", y, b.normal(8, 12), b.normal(12) + 4))
    return b.model(b.add("Gemm", y, b.normal(5, 12), b.normal(5), transB=1))


def transformer():
    b = Builder()
    x = b.feed("tokens", 1, 6, 16)
    scale = np.exp(b.random.normal(size=16) * 2).astype(np.float32)
    normed = b.add("LayerNormalization", x, scale, b.normal(16), axis=-1)
    rows = b.add("Reshape", normed, np.array([6, 16]))
    first = b.add("Gemm", rows, b.normal(16, 8), b.normal(8))
    second = b.add("MatMul", normed, b.normal(16, 8))
    return b.model(b.add("Add", b.add("Reshape", first, np.array([1, 6, 8])), second))


def study(model):
    source = lifted(model)
    samples = feeds(model, 8)
    return Study(source, Scheme(), {}, samples, observe(source, samples))


@pytest.mark.parametrize("activation", ["Relu", "Clip", "PRelu", "LeakyRelu"])
@pytest.mark.parametrize("name", ["cle", "cle-depthwise", "bias-absorption"])
def test_outputs_stay(name, activation):
    model = chain(activation)
    changed = algorithm(name)(study(model))
    assert changed is not None
    assert_same(model, changed.model)
    assert_seen(changed)


def assert_seen(changed):
    """What is known of tensors that kept their names is what they hold in the changed model."""
    fresh = observe(changed.model, changed.samples)
    assert fresh.keys() == changed.seen.keys()
    for name, one in fresh.items():
        room = 1e-4 * (one.maximum - one.minimum)
        assert changed.seen[name].maximum == pytest.approx(one.maximum, abs=room)
        assert changed.seen[name].minimum == pytest.approx(one.minimum, abs=room)


def test_migration_keeps_outputs_and_evens_channels():
    model = transformer()
    before, changed = study(model), algorithm("smoothquant")(study(model))
    assert_same(model, changed.model)
    assert_seen(changed)
    name = next(n for n in changed.seen if n.endswith("_equalized"))
    old = before.seen[name.removesuffix("_equalized")]
    spread = old.maximum / np.median(np.abs(old.bins()[0]))
    now = changed.seen[name]
    assert now.maximum / np.median(np.abs(now.bins()[0])) < 0.5 * spread


def test_equalization_gives_channels_like_ranges_in_front_of_a_depthwise_layer():
    model = study(chain("Relu"))
    changed = algorithm("cle")(model)
    ratios = []
    for one in (model, changed):
        link = links(one.model.graph)[0]
        high = channel_statistics(one.model, [link], one.samples, {})[str(link.read.name)].high
        ratios.append(float(high.max() / high[high > 0].min()))
    assert ratios[1] < ratios[0] / 4


def test_equalization_in_front_of_depthwise_layers_leaves_all_other_weights():
    model = study(residual_stream())
    assert algorithm("cle")(model) is not None
    assert algorithm("cle-depthwise")(model) is None


def seen(*largest):
    """Channels with values from 0 to `largest`."""
    high = np.float32(largest)
    return ChannelStatistics(np.zeros_like(high), high, high / 2, high**2 / 3)


def test_a_channel_that_reaches_the_limit_of_a_clip_keeps_its_factor():
    statistics = seen(6.0, 3.0, 0.5)
    reader = Reader(np.ones((1, 3, 9), np.float32), statistics, own_scales=True)
    room = np.float32([1.25, 0.625, 0.1])
    np.testing.assert_allclose(factors([reader], [statistics], room, (8, 8)), [1, 0.625, 0.1])
    free = factors([reader], [statistics], None, (8, 8))
    np.testing.assert_allclose(free, [1.0, 0.5, 0.5 / 6], rtol=1e-6)


def test_channels_stay_unlike_where_their_weights_would_be_rounded_too_coarsely():
    statistics = seen(8.0, 1.0, 1.0, 1.0)
    weight = np.float32([[[1], [1], [1], [1]]])
    reader = Reader(weight, statistics, own_scales=False)
    fine_weights = factors([reader], [statistics], None, (8, 16))
    fine_activations = factors([reader], [statistics], None, (16, 4))
    np.testing.assert_allclose(fine_weights, [1, 0.125, 0.125, 0.125])
    assert fine_activations.min() > 0.5


def residual_stream():
    """Three layers that write into one stream, two that read it, and channels unlike."""
    b = Builder()
    spread = np.exp(b.random.normal(size=(8, 1, 1, 1)) * 2).astype(np.float32)
    stream = b.add("Conv", b.feed("x", 1, 4, 6, 6), b.normal(8, 4, 1, 1) * spread, b.normal(8))
    for _ in range(2):
        inner = b.add("Relu", b.add("Conv", stream, b.normal(16, 8, 1, 1), b.normal(16)))
        stream = b.add("Add", stream, b.add("Conv", inner, b.normal(8, 16, 1, 1) * spread))
    up = b.add("ConvTranspose", stream, b.normal(8, 5, 2, 2), b.normal(5), strides=[2, 2])
    return b.model(up)


def test_layers_of_a_residual_stream_share_their_factors_and_outputs_stay():
    model = study(residual_stream())
    link = links(model.model.graph)[0]
    assert (len(link.sources), len(link.sinks)) == (3, 3)
    changed = algorithm("cle")(model)
    assert changed is not None
    assert_same(residual_stream(), changed.model)


def with_a_dead_channel():
    """A depthwise layer that takes differences of a channel far from zero, beside a dead one."""
    b = Builder()
    weight, bias = b.normal(4, 3, 1, 1) * 0.2, np.float32([6, 1, 0, 1])
    weight[2] = 0
    differences = b.normal(4, 1, 3, 3) * 0.1
    differences[0] = 5 * (differences[0] - differences[0].mean())
    y = b.add("Relu", b.add("Conv", b.feed("x", 1, 3, 9, 9), weight, bias))
    y = b.add("Relu", b.add("Conv", y, differences, np.float32([1, 1, -1, 1]), group=4))
    return b.model(b.add("Conv", y, b.normal(5, 4, 1, 1), b.normal(5)))


def test_a_dead_channel_carries_a_copy_and_outputs_stay_within_a_step():
    model = with_a_dead_channel()
    changed = algorithm("ocs")(study(model))
    assert changed is not None
    there, here = CpuModel(model).session, CpuModel(changed.model).session
    for sample in feeds(model, 8):
        np.testing.assert_allclose(here.run(None, sample)[0], there.run(None, sample)[0], atol=1e-3)


def test_copies_go_where_they_save_most():
    noise = np.float32([1.0, 20.0, 0.0, 2.0, 0.0, 0.0])
    assert copies(noise, np.array([2, 4, 5])).tolist() == [0, 1, 1, 3, 1, 3]
    assert copies(np.zeros(3, np.float32), np.array([1])).tolist() == [0, 1, 2]


def test_imposed_encodings_are_left_alone():
    before = study(chain("Relu"))
    weights = dict.fromkeys(before.model.graph.initializers)
    assert algorithm("cle")(replace(before, fixed=weights)) is None


def assert_same(model, changed):
    there, here = CpuModel(model).session, CpuModel(changed).session
    for sample in feeds(model, 8):
        truth, found = there.run(None, sample)[0], here.run(None, sample)[0]
        np.testing.assert_allclose(found, truth, rtol=1e-3, atol=1e-4 * np.abs(truth).max())
