"""At 16 bits, scales of a weight that lie far apart come together where that is faster."""

from __future__ import annotations

import numpy as np
import pytest

from snapq.config import QuantizeConfig
from snapq.devices.profiles import find
from snapq.quantization.quantize import quantize
from snapq.stages.base import Context, Input, Reads
from snapq.stages.quantize.job import QuantizationJob, quantization_job
from snapq.stages.quantize.weight_scales import race_scales
from tests.quantization.odd_models import Builder, feeds
from tests.stages.test_mixed_precision import Samples

pytestmark = [pytest.mark.slow, pytest.mark.npu]


def strided_block(share: float):
    """A strided depthwise layer between two others; a seventh of all channels is so small."""
    rng, b = np.random.default_rng(0), Builder()

    def weights(*shape: int) -> np.ndarray:
        values = rng.normal(size=shape).astype(np.float32)
        values[::7] *= share
        return values

    x = b.feed("x", 1, 32, 14, 14)
    y = b.add("Relu", b.add("Conv", x, weights(96, 32, 1, 1), b.normal(96)))
    depthwise = {"group": 96, "pads": [2] * 4, "strides": [2, 2]}
    y = b.add("Relu", b.add("Conv", y, weights(96, 1, 5, 5), b.normal(96), **depthwise))
    return b.model(b.add("Conv", y, weights(32, 96, 1, 1), b.normal(32)))


def raced(model, **changes) -> QuantizationJob:
    reads = Reads((Input.DEVICES, Input.CALIBRATION), (Input.BOUNDARY,))
    values = {Input.DEVICES: (find("qcs9075"),), Input.CALIBRATION: Samples(model, 4)}
    context = Context(reads, values)
    asked = QuantizeConfig(precision="w8a16", preset="fast", **changes)
    return race_scales(quantization_job(model, asked, context), context).job


def test_small_channels_take_coarser_scales_and_the_note_says_what_is_won():
    model = strided_block(1e-6)
    job = raced(model)
    assert job.scheme.scales_apart == 256
    assert "which is faster" in str(job.notes[-1])
    held = quantize(model, feeds(model, 2), job.scheme).encodings
    ratios = [one.scale.max() / one.scale.min() for one in held.values() if one.dtype.bits == 8]
    assert 200 < max(ratios) <= 257


def test_scales_that_are_near_stay():
    job = raced(strided_block(1.0))
    assert job.scheme.scales_apart is None
    assert not job.notes


def test_scales_stay_where_small_channels_count():
    assert raced(strided_block(1e-4)).scheme.scales_apart is None
