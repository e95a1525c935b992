"""What moves factors and biases between layers leaves the network's outputs as they were."""

from dataclasses import replace

import numpy as np
import pytest

from snapq.graph import io
from snapq.quantization.algorithms.base import Study, algorithm
from snapq.quantization.algorithms.cross_layer_equalization import factors
from snapq.quantization.channels import channel_ranges, conv_links
from snapq.quantization.quantize import lifted, observe
from snapq.quantization.scheme import Scheme
from snapq.runtime import cpu_session
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
@pytest.mark.parametrize("name", ["cross-layer-equalization", "bias-absorption"])
def test_outputs_stay(name, activation):
    model = chain(activation)
    changed = algorithm(name)(study(model))
    assert changed is not None
    assert_same(model, changed.model)


def test_migration_keeps_outputs_and_evens_channels():
    model = transformer()
    before, changed = study(model), algorithm("outlier-migration")(study(model))
    assert_same(model, changed.model)
    name = next(n for n in changed.seen if n.endswith("_equalized"))
    old = before.seen[name.removesuffix("_equalized")]
    spread = old.maximum / np.median(np.abs(old.bins()[0]))
    now = changed.seen[name]
    assert now.maximum / np.median(np.abs(now.bins()[0])) < 0.5 * spread


def test_equalization_gives_channels_like_ranges_in_front_of_a_depthwise_layer():
    model = study(chain("Relu"))
    changed = algorithm("cross-layer-equalization")(model)
    ratios = []
    for one in (model, changed):
        link = conv_links(one.model.graph)[0]
        _, high = channel_ranges(one.model, [link], one.samples)[str(link.tensor.name)]
        ratios.append(float(high.max() / high[high > 0].min()))
    assert ratios[1] < ratios[0] / 4


def test_a_channel_that_reaches_the_limit_of_a_clip_keeps_its_factor():
    found = factors(np.float32([6.0, 3.0, 0.5]), np.zeros(3, np.float32), 6.0)
    np.testing.assert_allclose(found, [1.0, 0.625, 0.5 * 1.25 / 6], rtol=1e-6)
    free = factors(np.float32([6.0, 3.0, 0.5]), np.zeros(3, np.float32), None)
    np.testing.assert_allclose(free, [1.0, 0.5, 0.5 / 6], rtol=1e-6)


def test_imposed_encodings_are_left_alone():
    before = study(chain("Relu"))
    weights = dict.fromkeys(before.model.graph.initializers)
    assert algorithm("cross-layer-equalization")(replace(before, fixed=weights)) is None


def assert_same(model, changed):
    there, here = cpu_session(io.to_bytes(model)), cpu_session(io.to_bytes(changed))
    for sample in feeds(model, 8):
        truth, found = there.run(None, sample)[0], here.run(None, sample)[0]
        np.testing.assert_allclose(found, truth, rtol=1e-3, atol=1e-4 * np.abs(truth).max())
