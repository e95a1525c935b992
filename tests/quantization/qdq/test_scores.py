"""Scores that lie close together have steps at which the NPU's Softmax of 16 bits is quick."""

import pytest

from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.npu.model import Model
from snapq.precision import ActivationType
from snapq.quantization.qdq.passes.widen_scores import LEAST_STEP
from snapq.quantization.quantize import Scheme, quantize
from tests.quantization.compared import decibels
from tests.quantization.odd_models import Builder, feeds


def attention(scale):
    b = Builder()
    scores = b.add("MatMul", b.feed("x", 1, 2, 64, 16), b.normal(16, 64, scale=scale))
    return b.model(b.add("MatMul", b.add("Softmax", scores, axis=-1), b.feed("v", 1, 2, 64, 16)))


def quantized(model):
    return quantize(model, feeds(model, 3), Scheme(activations=ActivationType.UINT16)).model


def step(model):
    (softmax,) = (node for node in model.graph if node.op_type == "Softmax")
    return float(softmax.inputs[0].producer().inputs[1].const_value.numpy())


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e-3])
def test_scores_close_together_have_larger_steps_and_stay_right(scale):
    model = attention(scale)
    result = quantized(model)
    assert LEAST_STEP / 1.01 < step(result) < 1.01 * LEAST_STEP
    sample = feeds(model, 1)[0]
    (truth,), (found,) = (
        CpuModel(one, optimize=False).run(sample).values() for one in (model, result)
    )
    assert decibels(truth, found) > 40  # values have 8 bits


def test_scores_far_apart_keep_theirs_and_both_take_the_same_time():
    near, far = quantized(attention(1e-3)), quantized(attention(1.0))
    assert step(far) > 10 * LEAST_STEP
    cycles = [Model(one, find("qcs9075")).estimate().cycles for one in (near, far)]
    assert cycles[0] < 1.05 * cycles[1]
