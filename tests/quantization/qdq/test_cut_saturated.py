"""No codes are spent on values that every reader takes for the same."""

import numpy as np
import pytest

from snapq.precision import ActivationType
from snapq.quantization.quantize import Scheme, quantize
from tests.quantization.odd_models import Builder, feeds

REACH = 40.0


def read_by(*operators, **attributes):
    """A layer whose wide output some operators read."""
    b = Builder(opset=21)
    weight = np.eye(8, dtype=np.float32).reshape(8, 8, 1, 1) * REACH
    wide = b.add("Conv", b.feed("x", 1, 8, 4, 4), weight, np.zeros(8, np.float32))
    outputs = [b.add(one, wide, **attributes) for one in operators]
    return b.model(*outputs), wide


@pytest.mark.parametrize(
    ("operator", "attributes", "low", "high"),
    [
        ("HardSwish", {}, -3.0, None),
        ("LeakyRelu", {}, None, None),
    ],
)
def test_a_range_ends_where_its_reader_saturates(operator, attributes, low, high):
    model, name = read_by(operator, **attributes)
    encoding = quantize(model, feeds(model, 4), Scheme(activations=ActivationType.UINT8)).encodings
    minimum, maximum = float(encoding[name].minimum), float(encoding[name].maximum)
    step = float(encoding[name].scale)
    assert minimum < -REACH if low is None else abs(minimum - low) < step
    assert maximum > REACH if high is None else abs(maximum - high) < step


def test_a_reader_that_sees_all_keeps_the_range():
    model, name = read_by("HardSwish", "LeakyRelu")
    found = quantize(model, feeds(model, 4), Scheme()).encodings[name]
    assert float(found.minimum) < -REACH
