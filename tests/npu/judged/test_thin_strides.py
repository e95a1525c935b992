"""A strided depthwise convolution is one of stride 1 of which every s-th value is taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from snapq.devices.profiles import find
from snapq.graph import io
from snapq.graph.shapes import input_specs
from snapq.npu.judged import thin_strides as strides
from snapq.npu.qnn.simulate import simulate
from snapq.quantization.quantize import Scheme, quantize
from tests.graph.models import feeds_for, run
from tests.quantization.odd_models import Builder, feeds

CHANNELS = 8


def depthwise(size: int, kernel: int, stride: int, pads: list[int], dilation: int) -> ir.Model:
    """A quantized network with one depthwise convolution between two others."""
    build = Builder()
    x = build.feed("x", 1, 3, size, size)
    x = build.add("Relu", build.add("Conv", x, build.normal(CHANNELS, 3, 1, 1)))
    weight, bias = build.normal(CHANNELS, 1, kernel, kernel), build.normal(CHANNELS)
    chosen = {"strides": [stride] * 2, "dilations": [dilation] * 2}
    x = build.add("Conv", x, weight, bias, group=CHANNELS, pads=pads, **chosen)
    model = build.model(build.add("Conv", x, build.normal(5, CHANNELS, 1, 1)))
    return quantize(model, feeds(model, 2), Scheme()).model


@settings(max_examples=40)
@given(
    st.integers(7, 15),
    st.integers(1, 5),
    st.integers(2, 3),
    st.lists(st.integers(0, 2), min_size=4, max_size=4),
    st.integers(1, 2),
)
def test_the_outputs_stay_the_same(
    size: int, kernel: int, stride: int, pads: list[int], dilation: int
) -> None:
    assume(dilation * (kernel - 1) < size + min(pads[0] + pads[2], pads[1] + pads[3]))
    model = depthwise(size, kernel, stride, pads, dilation)
    names = strides.strided(model)
    assert len(names) == 1
    sample = feeds_for(input_specs(model))
    wanted = run(model, sample)
    changed = strides.thin_out(model, names)
    assert [node.op_type for node in changed.graph].count("MaxPool") == 1
    for left, right in zip(wanted, run(changed, sample), strict=True):
        np.testing.assert_array_equal(left, right)
    assert not strides.strided(changed)


def test_on_the_simulated_npu_they_differ_by_rounding_at_most(tmp_path: Path) -> None:
    model = depthwise(14, 3, 2, [0, 0, 1, 1], 1)
    sample = feeds_for(input_specs(model))
    found = []
    for name, form in (("a", model), ("b", strides.thin_out(model, strides.strided(model)))):
        path = tmp_path / f"{name}.onnx"
        io.save(form, path)
        found.append(next(iter(simulate(path, find("qcs9075"), [sample], workers=1))))
    for name, wanted in found[0].items():
        # Eight channels are summed behind, each of which may be one step off.
        step = np.diff(np.unique(wanted)).min()
        assert np.abs(wanted - found[1][name]).max() <= 3.01 * step


@pytest.mark.parametrize(
    ("cycles", "chosen"),
    [([9, 8, 7, 6], 3), ([9, 8, 8], 1), ([9, 10], 0)],
)
def test_one_more_is_taken_as_long_as_it_gets_faster(cycles: list[int], chosen: int) -> None:
    asked = []

    def estimate(names: tuple[str, ...]) -> int:
        asked.append(names)
        return cycles[len(names)]

    assert strides.choose(("c", "b", "a"), estimate) == ("c", "b", "a")[:chosen]
    assert len(asked) == len(cycles)
