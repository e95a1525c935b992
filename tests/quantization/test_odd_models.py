"""Whatever a model looks like, it is quantized: legal, near to the float model, and complete."""

import numpy as np
import onnx
import pytest

from snapq.cpu import CpuModel
from snapq.graph import io
from snapq.precision import ActivationType, WeightType
from snapq.quantization.lint.run import lint
from snapq.quantization.quantize import Scheme, quantize
from tests.quantization.compared import decibels
from tests.quantization.odd_models import MODELS, feeds

SCHEMES = [
    Scheme(WeightType.INT8, ActivationType.UINT8, True, 73),
    Scheme(WeightType.INT8, ActivationType.UINT16, True, 68),
    Scheme(WeightType.UINT8, ActivationType.UINT16, True, 75),
]


@pytest.mark.parametrize("scheme", SCHEMES, ids=["w8a8-v73", "w8a16-v68", "u8a16-v75"])
@pytest.mark.parametrize("name", MODELS)
def test_an_odd_model_is_quantized_as_the_provider_wants_it(name, scheme):
    model = MODELS[name]()
    before = io.serialized(model)
    quantized = quantize(model, feeds(model, 8), scheme)
    after = io.serialized(quantized.model)
    assert io.serialized(model) == before
    onnx.checker.check_model(onnx.load_from_string(after), full_check=True)
    assert lint(quantized.model, scheme.architecture) == ()
    wanted = 15.0 if scheme.activations is ActivationType.UINT8 else 25.0
    reference, session = CpuModel(before).session, CpuModel(after, optimize=False).session
    for sample in feeds(model, 8)[:2]:
        for truth, found in zip(
            reference.run(None, sample), session.run(None, sample), strict=True
        ):
            assert truth.shape == found.shape
            assert truth.dtype == found.dtype
            if truth.dtype == np.float32:
                assert decibels(truth, found) > wanted


def test_inputs_and_outputs_keep_names_order_and_types():
    for make in MODELS.values():
        model = make()
        quantized = quantize(model, feeds(model, 2), SCHEMES[0]).model
        for ours, theirs in (
            (quantized.graph.inputs, model.graph.inputs),
            (quantized.graph.outputs, model.graph.outputs),
        ):
            assert [(v.name, v.dtype) for v in ours] == [(v.name, v.dtype) for v in theirs]


def test_the_same_input_gives_the_same_bytes():
    for make in MODELS.values():
        model = make()
        first, second = (quantize(model, feeds(model, 2), SCHEMES[0]).model for _ in range(2))
        assert io.serialized(first) == io.serialized(second)
