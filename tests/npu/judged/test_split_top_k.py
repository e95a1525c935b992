"""TopK in steps gives the values and places of TopK at once, those of equal values too."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.graph.prepare import prepare
from snapq.npu.judged import split_top_k
from snapq.npu.model import Model, Variants


def network(count: int, *, axis: int = -1, largest: int = 1, size: int = 400) -> ir.Model:
    """The greatest of some values, and where they are."""
    shape = [2, size] if axis == -1 else [size, 2]
    read = onnx.parser.parse_model(
        f"""
        <ir_version: 10, opset_import: ["" : 21]>
        net (float[{shape[0]}, {shape[1]}] x) => (float[a, b] v, int64[a, b] i)
        <int64[1] k = {{{count}}}>
        {{
            s = Sigmoid (x)
            v, i = TopK <axis = {axis}, largest = {largest}> (s, k)
        }}
        """
    )
    return prepare(ir.serde.deserialize_model(read), {}).model


@pytest.mark.parametrize(
    "model",
    [network(65), network(100, axis=0), network(130, largest=0), network(400)],
    ids=["65", "100 rows", "the smallest 130", "all"],
)
def test_values_and_places_are_the_same(model: ir.Model) -> None:
    (name,) = split_top_k.sites(model)
    changed = split_top_k.apply(model, [name])
    kept = [node for node in changed.graph if node.op_type == "TopK"]
    assert len(kept) > 1
    shape = model.graph.inputs[0].shape
    assert shape is not None
    some = np.random.default_rng(0).integers(-40, 40, shape.numpy()).astype(np.float32) / 8
    before, after = CpuModel(model).run({"x": some}), CpuModel(changed).run({"x": some})
    for output in ("v", "i"):
        np.testing.assert_array_equal(after[output], before[output])


def test_few_values_and_very_many_stay() -> None:
    assert split_top_k.sites(network(64)) == ()
    assert split_top_k.sites(network(513, size=1000)) == ()


@pytest.mark.npu
@pytest.mark.slow
def test_the_faster_form_is_compiled_and_right_on_the_simulator() -> None:
    device, model = find("qcs9075"), network(100, size=4000)
    tried = Model(model, device, variants=Variants(tries=2))
    assert tried.form.rewrites == ("split_top_k",)
    assert tried.estimate().us < 0.5 * Model(model, device).estimate().us
    x = np.random.default_rng(0).permutation(8000).astype(np.float32).reshape(2, 4000) / 1000 - 4
    split = split_top_k.apply(model, split_top_k.sites(model))
    (found,) = Model(split, device).simulate([{"x": x}])
    (usual,) = Model(model, device).simulate([{"x": x}])
    np.testing.assert_array_equal(found["v"], usual["v"])
