"""Whoever adds a pass adds one file and one line with the reason for its place."""

from pathlib import Path

import pytest

from snapq.quantization.qdq import lowering, passes
from snapq.quantization.qdq.lowering.order import LOWERINGS
from snapq.quantization.qdq.order import BEFORE_SAMPLES, ON_RANGES


@pytest.mark.parametrize(
    ("package", "order"),
    [(passes, (*BEFORE_SAMPLES, *ON_RANGES)), (lowering, LOWERINGS)],
)
def test_each_file_of_a_pass_stands_in_the_order_once_with_a_reason(package, order):
    files = {path.stem for path in Path(package.__file__).parent.glob("*.py")}
    inside = [step.__name__ for step, _ in order if step.__module__.startswith(package.__name__)]
    assert len(inside) > 3
    assert set(inside) == files - {"__init__", "order"}
    assert len(inside) == len(set(inside))
    assert all(reason for _, reason in order)
