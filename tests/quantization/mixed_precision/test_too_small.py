"""Outputs that fp16 has no digits for are not left in it, however fast it is."""

import numpy as np
import pytest

from snapq.quantization.mixed_precision.never_slower import too_small_for_fp16
from snapq.quantization.quantize import Scheme, quantize
from tests.graph.models import prepared_from


@pytest.mark.parametrize(("value", "told"), [(1.0, "'y' reaches 1.0e-07"), (1e4, None)])
def test_an_output_below_what_fp16_begins_with_is_named(value, told):
    text = "(float[1,4] x) => (float[1,4] y) <float k = {1e-7}> { y = Mul(x, k) }"
    model = prepared_from(text)[0].model
    samples = [{"x": np.full((1, 4), value, np.float32)}]
    assert too_small_for_fp16(model, quantize(model, samples, Scheme())) == told
