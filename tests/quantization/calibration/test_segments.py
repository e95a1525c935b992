"""A change in the middle of a model is judged from there on, with the same result."""

import numpy as np
import onnx_ir as ir
import pytest

from snapq.cpu import CpuModel
from snapq.graph import io, prepare
from snapq.quantization.calibration.kept import KeptArrays
from snapq.quantization.calibration.segments import Segments, divided
from tests import assets
from tests.quantization.odd_models import Builder, feeds


def with_skips(layers=24):
    """Convolutions of which every third one is added to what came in three layers before."""
    b = Builder(opset=21)
    x = held = b.add("Conv", b.feed("x", 1, 8, 8, 8), b.normal(8, 8, 1, 1), b.normal(8))
    for index in range(layers):
        x = b.add("Conv", x, b.normal(8, 8, 1, 1) / 3, b.normal(8))
        if index % 3 == 2:
            x = held = b.add("Add", x, held)
    return b.model(x)


def halved(names):
    """Halves some tensors, by a factor that is an input."""

    def change(model):
        graph = model.graph
        factor = ir.Value(name="factor", shape=ir.Shape([]), type=ir.TensorType(ir.DataType.FLOAT))
        graph.inputs.append(factor)
        for value in [value for node in graph for value in node.outputs if value.name in names]:
            node = ir.node("Mul", [value, factor])
            node.outputs[0].name = f"{value.name}_halved"
            output = value.is_graph_output()
            value.replace_all_uses_with(node.outputs[0], replace_graph_outputs=output)
            node.replace_input_with(0, value)
            graph.insert_after(value.producer(), node)
            if output:
                value.name, node.outputs[0].name = node.outputs[0].name, value.name

    return change


def test_segments_compute_what_the_model_does():
    model = with_skips()
    samples = feeds(model, 2)
    assert len(divided(model)) > 4
    found = Segments(model, samples).truth
    wanted = [CpuModel(model).run(sample) for sample in samples]
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(
            *(next(iter(one.values())) for one in (mine, theirs)), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("place", [0, 13, 31])
def test_a_change_has_the_effect_that_it_has_in_the_whole_model(place):
    model = with_skips()
    samples = feeds(model, 2)
    names = {str(node.outputs[0].name) for node in list(model.graph)[place::9]}
    changed = Segments(model, samples).changed(names, halved(names))
    assert changed is not None
    whole = model.clone()
    halved(names)(whole)
    more = {"factor": np.array(0.5, np.float32)}
    for index, sample in enumerate(samples):
        mine, theirs = changed.run(index, more), CpuModel(whole).run({**sample, **more})
        np.testing.assert_allclose(
            *(next(iter(one.values())) for one in (mine, theirs)), rtol=1e-4, atol=1e-4
        )


def test_a_detector_is_cut_where_little_flows():
    model = prepare.prepare(io.load(assets.centerface()), {"input.1": (1, 3, 160, 160)}).model
    flows = [sum(np.prod(v.shape.numpy()) for v in s.model.graph.inputs) for s in divided(model)]
    largest = max(np.prod(v.shape.numpy()) for node in model.graph for v in node.outputs if v.shape)
    assert len(flows) > 4
    assert max(flows[1:]) <= largest


def test_a_change_of_nothing_is_none():
    model = with_skips()
    assert Segments(model, feeds(model, 1)).changed({"elsewhere"}, halved({"elsewhere"})) is None


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_kept_arrays_come_back_from_the_file(dtype):
    kept = KeptArrays(in_memory=10)
    arrays = [np.arange(n).astype(dtype) for n in (1, 0, 100, 2000)] + [np.ones((2, 3, 4), dtype)]
    places = [kept.add(array) for array in arrays]
    assert places[-1].array is None
    for place, array in zip(reversed(places), reversed(arrays), strict=True):
        read = kept.read(place)
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)
