"""The arithmetic of encodings holds for every range, type and value."""

import numpy as np
import onnx
import onnx.reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from snapq.quantization.encodings import (
    Encoding,
    QuantType,
    asymmetric,
    dequantize,
    quantize,
    symmetric,
)
from snapq.quantization.granularity import PerAxis

UNSIGNED = st.sampled_from([QuantType.UINT8, QuantType.UINT16])
SIGNED = st.sampled_from([QuantType.INT4, QuantType.INT8, QuantType.INT16])
REAL = st.floats(-1e6, 1e6, width=32)
RANGE = st.tuples(REAL, REAL).map(sorted)
VALUES = arrays(np.float32, st.integers(1, 40), elements=REAL)


@given(RANGE, UNSIGNED)
def test_zero_is_held_exactly(limits, dtype):
    encoding = asymmetric(*limits, dtype)
    assert dequantize(quantize(np.zeros(1), encoding), encoding) == 0.0


@given(RANGE, UNSIGNED)
def test_a_scale_is_positive_and_finite_whatever_the_range(limits, dtype):
    encoding = asymmetric(*limits, dtype)
    assert encoding.scale.dtype == np.float32
    assert 0 < encoding.scale < np.inf
    assert dtype.qmin <= int(encoding.zero_point) <= dtype.qmax


@given(VALUES, UNSIGNED)
def test_a_value_within_the_range_comes_back_within_one_step(values, dtype):
    encoding = asymmetric(values.min(), values.max(), dtype)
    error = np.abs(dequantize(quantize(values, encoding), encoding) - values)
    # Half a step for the rounding of the value, half for that of the zero point, at the ends.
    assert (error <= encoding.scale * 1.001 + np.abs(values) * 1e-6).all()


@given(VALUES, UNSIGNED)
def test_values_outside_the_range_saturate(values, dtype):
    encoding = asymmetric(-1.0, 1.0, dtype)
    found = dequantize(quantize(values, encoding), encoding)
    assert (found >= encoding.minimum - 1e-6).all()
    assert (found <= encoding.maximum + 1e-6).all()


@given(VALUES, SIGNED)
def test_symmetric_encodings_hold_a_value_and_its_opposite_alike(values, dtype):
    encoding = symmetric(np.abs(values).max(), dtype)
    there, back = quantize(values, encoding), quantize(-values, encoding)
    assert (there.astype(np.int32) == -back.astype(np.int32)).all()


@given(arrays(np.float32, (3, 5), elements=REAL), SIGNED)
def test_one_scale_a_channel_is_each_channel_on_its_own(values, dtype):
    encoding = symmetric(np.abs(values).max(axis=1), dtype, PerAxis(0))
    whole = dequantize(quantize(values, encoding), encoding)
    for channel, row in enumerate(values):
        alone = Encoding(dtype, encoding.scale[channel], encoding.zero_point[channel])
        assert (dequantize(quantize(row, alone), alone) == whole[channel]).all()


@given(arrays(np.float32, 20, elements=st.floats(-50, 50, width=32)), RANGE, UNSIGNED)
def test_quantize_is_what_onnx_says_it_is(values, limits, dtype):
    encoding = asymmetric(limits[0] % 40, limits[1] % 40 + 1, dtype)
    node = onnx.helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])
    session = onnx.reference.ReferenceEvaluator(node, opsets={"": 21})
    feeds = {"x": values, "s": encoding.scale, "z": encoding.zero_point}
    expected = session.run(None, feeds)[0].astype(np.int64)
    # ONNX divides in float32; here the quotient is exact, and may fall on the other side of a half.
    assert (np.abs(expected - quantize(values, encoding).astype(np.int64)) <= 1).all()


def test_encodings_compare_by_value():
    assert asymmetric(0, 1, QuantType.UINT8) == asymmetric(0, 1, QuantType.UINT8)
    assert asymmetric(0, 1, QuantType.UINT8) != asymmetric(0, 2, QuantType.UINT8)
    assert len({asymmetric(0, 1, QuantType.UINT8), asymmetric(0, 1, QuantType.UINT8)}) == 1


def test_a_large_tensor_has_the_integers_of_its_rows():
    random = np.random.default_rng(0)
    values = random.standard_normal((300, 401)).astype(np.float32)
    magnitudes = random.uniform(0.5, 2.0, 401)
    by_column = symmetric(magnitudes, QuantType.INT8, PerAxis(1))
    by_row = symmetric(magnitudes[:300], QuantType.INT8, PerAxis(0))
    whole = asymmetric(-2.0, 3.0, QuantType.UINT8)
    for row in range(0, 300, 7):
        one = values[row : row + 1]
        scale = symmetric(magnitudes[row : row + 1], QuantType.INT8, PerAxis(0))
        for encoding, own in ((by_column, by_column), (whole, whole), (by_row, scale)):
            found = quantize(values, encoding)[row : row + 1]
            np.testing.assert_array_equal(found, quantize(one, own))
