"""Outputs of small layers get 16 bits: those alone, where nothing was said of them, for a gain."""

from dataclasses import replace

import pytest

from snapq.precision import ActivationType
from snapq.quantization.lint.run import lint
from snapq.quantization.qdq.lowering.order import lifted
from snapq.quantization.qdq.scheme import NodePrecision, Scheme
from snapq.quantization.quantize import observe
from snapq.quantization.tuning.algorithms.base import Study, algorithm
from snapq.quantization.tuning.presets import Recipe, tune
from tests.quantization.odd_models import Builder, feeds, scalar
from tests.quantization.tuning.test_presets import judged


def two_heads():
    """A classifier with a few logits, and a map as large as what it is made of."""
    b = Builder()
    y = b.add("Relu", b.add("Conv", b.feed("x", 1, 3, 64, 64), b.normal(8, 3, 3, 3), b.normal(8)))
    large = b.add("Conv", y, b.normal(4, 8, 1, 1))
    pooled = b.add("Flatten", b.add("GlobalAveragePool", y))
    small = b.add("Mul", b.add("Gemm", pooled, b.normal(8, 10), b.normal(10)), scalar(0.5))
    return b.model(small, large)


def study(model, scheme):
    source = lifted(model)
    samples = feeds(model, 4)
    return Study(source, scheme, {}, samples, observe(source, samples))


def types(model, built):
    return [built.encodings[output.name].dtype.value for output in model.graph.outputs]


def test_a_small_layer_s_output_has_16_bits_and_a_map_keeps_8():
    model = two_heads()
    changed = algorithm("wide-outputs")(study(model, Scheme()))
    assert types(model, changed.built) == ["uint16", "uint8"]
    assert lint(changed.built.model, 73) == ()
    assert {node.op_type for node in model.graph if str(node.name) in changed.scheme.per_node} == {
        "Gemm",
        "Mul",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"keep_wide": False},
        {"activations": ActivationType.UINT16},
        {"per_node": "Gemm"},
    ],
)
def test_what_the_user_said_stays(change):
    model = two_heads()
    if "per_node" in change:
        named = [str(node.name) for node in model.graph if node.op_type == change["per_node"]]
        own = NodePrecision(activations=ActivationType.UINT8)
        change = {"per_node": dict.fromkeys(named, own)}
    assert algorithm("wide-outputs")(study(model, replace(Scheme(), **change))) is None


def test_it_is_told_and_nearer_to_float():
    model = two_heads()
    results = {
        algorithms: tune(model, feeds(model, 40), Scheme(), Recipe(algorithms=algorithms))
        for algorithms in ((), ("wide-outputs",))
    }
    plain, wide = (judged(model, one.model, feeds(model, 8, seed=9)) for one in results.values())
    assert wide > plain + 0.5
    assert any("at 16 bits, as an output" in note.text for note in results["wide-outputs",].notes)
