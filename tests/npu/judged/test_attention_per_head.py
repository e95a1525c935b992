"""A product for each head gives the numbers of one over all heads, in float and in codes."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.graph.prepare import prepare
from snapq.npu.judged import attention_per_head
from snapq.npu.judged.rewrites import Form
from snapq.npu.model import Model, Variants
from snapq.precision import ActivationType
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.quantize import quantize

TOKENS, HEADS, CHANNELS = 12, 4, 32
PLAIN = "scores = MatMul (q, k)  p = Softmax <axis = -1> (scores)"
MASKED = "s = MatMul (q, k)  scores = Add (s, {mask})  p = Softmax <axis = -1> (scores)"
OUT = "o = Transpose <perm = [0, 2, 1, 3]> (mixed)  y = Reshape (o, rows)"


def network(between: str = PLAIN, out: str = OUT, *, rows: int = 1) -> ir.Model:
    """Attention over heads that are taken out of the channels of three layers."""
    read = onnx.parser.parse_model(
        f"""
        <ir_version: 10, opset_import: ["" : 21]>
        net (float[{rows * TOKENS}, {CHANNELS}] x, float[1, 1, 1, {TOKENS}] mask) => (float[a, b] y)
        <int64[4] heads = {{{rows}, {TOKENS}, {HEADS}, {CHANNELS // HEADS}}},
         int64[2] rows = {{{rows * TOKENS}, {CHANNELS}}}>
        {{
            a = MatMul (x, wq)  ah = Reshape (a, heads)
            q = Transpose <perm = [0, 2, 1, 3]> (ah)
            b = MatMul (x, wk)  bh = Reshape (b, heads)
            k = Transpose <perm = [0, 2, 3, 1]> (bh)
            c = MatMul (x, wv)  ch = Reshape (c, heads)
            v = Transpose <perm = [0, 2, 1, 3]> (ch)
            {between.format(mask="mask")}
            mixed = MatMul (p, v)
            {out}
        }}
        """
    )
    generator = np.random.default_rng(0)
    for name, shape in (
        ("wq", (CHANNELS, CHANNELS)),
        ("wk", (CHANNELS, CHANNELS)),
        ("wv", (CHANNELS, CHANNELS)),
        ("bias", (1, HEADS, TOKENS, TOKENS)),
    ):
        array = generator.standard_normal(shape).astype(np.float32) / 4
        read.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return prepare(ir.serde.deserialize_model(read), {}).model


def feeds(model: ir.Model) -> dict[str, np.ndarray]:
    """Random inputs."""
    generator = np.random.default_rng(1)
    return {
        str(value.name): generator.standard_normal(value.shape.numpy()).astype(np.float32)
        for value in model.graph.inputs
        if value.shape is not None
    }


def in_codes(model: ir.Model, activations: ActivationType) -> ir.Model:
    """The model with activations of these bits."""
    scheme = Scheme(activations=activations)
    return quantize(model, [feeds(model)], scheme).model


def products(model: ir.Model) -> int:
    """How many products of two computed values a model has."""
    return sum(node.op_type == "MatMul" for node in model.graph)


FORMS = {
    "plain": network(),
    "masked": network(MASKED),
    "a bias for each head": network(MASKED.replace("{mask}", "bias")),
    "several rows": network(rows=2),
    "heads stay": network(out="y = Reshape (mixed, rows)"),
}


@pytest.mark.parametrize("bits", [None, 8, 16], ids=["float", "8 bits", "16 bits"])
@pytest.mark.parametrize("name", FORMS)
def test_each_head_has_products_of_its_own_and_no_number_changes(
    name: str, bits: int | None
) -> None:
    model = FORMS[name]
    if bits:
        model = in_codes(model, ActivationType.UINT8 if bits == 8 else ActivationType.UINT16)
    sites = attention_per_head.sites(model)
    assert len(sites) == 1
    changed = attention_per_head.apply(model, sites)
    assert products(changed) == HEADS * products(model)
    given = feeds(model)
    before, after = CpuModel(model).run(given)["y"], CpuModel(changed).run(given)["y"]
    np.testing.assert_allclose(after, before, atol=0 if bits else 1e-6)


def test_heads_are_taken_out_of_channels_without_transposes() -> None:
    turned = [
        sum(node.op_type == "Transpose" and len(node.outputs[0].shape or ()) == 4 for node in graph)
        for graph in (
            network().graph,
            attention_per_head.apply(network(), attention_per_head.sites(network())).graph,
        )
    ]
    assert turned == [4, HEADS]  # keys are turned, head by head


@pytest.mark.parametrize(
    "between",
    [
        PLAIN.replace("-1", "2"),
        PLAIN.replace("p = Softmax <axis = -1> (scores)", "p = Relu (scores)"),
        "s = MatMul (q, k)  scores = Mul (s, s)  p = Softmax <axis = -1> (scores)",
    ],
    ids=["another axis", "no Softmax", "scores that are used twice"],
)
def test_what_is_no_attention_by_heads_is_left_alone(between: str) -> None:
    assert attention_per_head.sites(network(between)) == ()


@pytest.mark.npu
@pytest.mark.slow
def test_the_form_that_is_compiled_is_the_fastest_by_the_estimate() -> None:
    device, model = find("sa8797p"), in_codes(network(), ActivationType.UINT16)
    tried = Model(model, device, variants=Variants(tries=4))
    costs = {
        form: Model(model, device, form=form).estimate().precise_us
        for form in (Form(), Form(("attention_per_head",)))
    }
    assert tried.judged is not None
    assert [trial.costs for trial in tried.judged.trials] == [
        {"sa8797p": cost} for cost in costs.values()
    ]
    assert costs[tried.form] == min(costs.values())
    assert tried.estimate().precise_us == costs[tried.form]
