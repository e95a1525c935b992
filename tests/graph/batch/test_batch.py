"""A model for calls of several samples gives each sample what it gives alone."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from snapq.errors import ModelError
from snapq.graph.batch import batched, check_same
from snapq.graph.boundary import calls, gathered, parted
from snapq.graph.shapes import input_specs, static_shape
from tests.graph.models import build, feeds_for, run

SIZE = 3
BODIES = {
    "a classifier": """(float[1,3,8,8] x, float[4,3,3,3] w, float[5,4] w_head) => (float[1,5] y)
        { c = Conv(x, w)  p = GlobalAveragePool(c)  f = Flatten(p)
          y = Gemm<transB=1>(f, w_head) }""",
    "an axis of one sample that is squeezed and comes back": """
        (float[1,1,6] x, float[1,6] w) => (float[1,6] y)
        { a = Constant<value_ints=[1]>()  s = Squeeze(x, a)  m = Mul(s, w)
          z = Constant<value_ints=[0]>()  t = Squeeze(m, z)  u = Unsqueeze(t, z)  y = Relu(u) }""",
    "attention with samples behind tokens": """
        (float[1,5,8] x, float[8,8] w_q, float[8,8] w_k) => (float[1,5,8] y)
        { t = Transpose<perm=[1,0,2]>(x)  q = MatMul(t, w_q)  k = MatMul(t, w_k)
          s = Constant<value_ints=[5,2,4]>()  qh = Reshape(q, s)  kh = Reshape(k, s)
          qt = Transpose<perm=[1,0,2]>(qh)  kt = Transpose<perm=[1,2,0]>(kh)
          a = MatMul(qt, kt)  p = Softmax<axis=2>(a)  v = Transpose<perm=[1,0,2]>(kh)
          o = MatMul(p, v)  ot = Transpose<perm=[1,0,2]>(o)  g = Constant<value_ints=[5,8]>()
          or = Reshape(ot, g)  h = Constant<value_ints=[5,1,8]>()  oh = Reshape(or, h)
          y = Transpose<perm=[1,0,2]>(oh) }""",
    "tokens whose axis of one sample is gone": """
        (float[1,5,8] x, float[8,8] w) => (float[1,5,8] y)
        { s = Constant<value_ints=[5,8]>()  f = Reshape(x, s)  g = MatMul(f, w)
          h = Constant<value_ints=[5,2,4]>()  r = Reshape(g, h)  t = Transpose<perm=[1,0,2]>(r)
          k = Transpose<perm=[1,2,0]>(r)  a = MatMul(t, k)  p = Softmax<axis=2>(a)
          o = MatMul(p, t)  u = Transpose<perm=[1,0,2]>(o)  e = Constant<value_ints=[1,5,8]>()
          y = Reshape(u, e) }""",
    "windows that share an axis with the samples": """
        (float[1,4,4,2] x, float[4,4,2] w_bias) => (float[1,4,4,2] y)
        { s = Constant<value_ints=[1,2,2,2,2,2]>()  a = Reshape(x, s)
          t = Transpose<perm=[0,1,3,2,4,5]>(a)  v = Constant<value_ints=[4,4,2]>()
          b = Reshape(t, v)  c = Add(b, w_bias)  d = Reshape(c, s)
          e = Transpose<perm=[0,1,3,2,4,5]>(d)  z = Constant<value_ints=[1,4,4,2]>()
          y = Reshape(e, z) }""",
    "a class token in front": """
        (float[1,4,6] x, float[1,1,6] w) => (float[1,5,6] y) { y = Concat<axis=1>(w, x) }""",
    "sizes, slices and repeats": """
        (float[1,2,4,4] x) => (float[1,2,6,8] y)
        { n = Constant<value_ints=[1,2,8,8]>()  r = Resize<mode="nearest">(x, , , n)
          b = Constant<value_ints=[0,1]>()  e = Constant<value_ints=[1,7]>()
          a = Constant<value_ints=[0,2]>()  c = Slice(r, b, e, a)
          k = Constant<value_ints=[1,2,6,8]>()  y = Expand(c, k) }""",
    "reductions and searches": """
        (float[1,3,7] x) => (float[1,7] y, int64[1,3] z)
        { a = Constant<value_ints=[1]>()  y = ReduceMean<keepdims=0>(x, a)
          z = ArgMax<axis=2,keepdims=0>(x) }""",
    "rows of a table": """
        (int64[1,4] x, float[9,6] w) => (float[1,4,6] y) { y = Gather(w, x) }""",
    "a recurrent layer": """
        (float[1,5,4] x, float[1,12,4] w, float[1,12,3] w_r, float[1,1,3] w_h) => (float[1,5,3] y)
        { t = Transpose<perm=[1,0,2]>(x)  a, b = LSTM<hidden_size=3>(t, w, w_r, , , w_h)
          n = Constant<value_ints=[1]>()  s = Squeeze(a, n)  y = Transpose<perm=[1,0,2]>(s) }""",
    "samples that a Transpose puts behind": "(float[1,6] x) => (float[6,1] y) { y = Transpose(x) }",
    "the first of one": """
        (float[1,5,6] x) => (float[1,5,6] y)
        { i = Constant<value_int=0>()  g = Gather(x, i)  n = Constant<value_ints=[0]>()
          u = Unsqueeze(g, n)  h = Gather(u, n)  y = Relu(h) }""",
    "channels turned round on an axis that samples share": """
        (float[1,3,4] x) => (float[1,3,4] y)
        { s = Constant<value_ints=[3,4]>()  r = Reshape(x, s)  i = Constant<value_ints=[-1,1,0]>()
          g = Gather(r, i)  b = Constant<value_ints=[1,3,4]>()  y = Reshape(g, b) }""",
    "letters": """
        (float[1,4,6] x, float[6,5] w) => (float[1,5,4] y)
        { y = Einsum<equation="bij,jk->bki">(x, w) }""",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_each_sample_of_a_call_is_computed_as_if_alone(body: str) -> None:
    model = build(body, opset=18)
    several = batched(model, SIZE)
    (spec,) = input_specs(several)
    assert spec.shape[0] == SIZE
    samples = [feeds_for(input_specs(model), seed) for seed in range(SIZE)]
    alone = [run(model, one) for one in samples]
    together = run(several, gathered(samples, SIZE))
    for index, whole in enumerate(together):
        assert static_shape(several.graph.outputs[index]) == whole.shape
        for part, wanted in zip(np.split(whole, SIZE), alone, strict=True):
            np.testing.assert_allclose(part, wanted[index], rtol=1e-5, atol=1e-6)


def test_a_constant_behind_q_and_dq_is_repeated_in_its_own_encoding() -> None:
    model = build(
        """(float[1,4,6] x, uint8[1,1,6] w) => (float[1,5,6] y)
        { s = Constant<value = float {0.5}>()  z = Constant<value = uint8 {3}>()
          d = DequantizeLinear(w, s, z)  q = QuantizeLinear(x, s, z)  e = DequantizeLinear(q, s, z)
          y = Concat<axis=1>(d, e) }""",
        opset=18,
    )
    several = batched(model, SIZE)
    samples = [feeds_for(input_specs(model), seed) for seed in range(SIZE)]
    check_same(model, several, SIZE, samples)
    tables = [v for v in several.graph.initializers.values() if static_shape(v) == (SIZE, 1, 6)]
    assert [value.dtype for value in tables] == [ir.DataType.UINT8]


REFUSED = {
    "a mean over all samples": (
        "(float[1,6] x) => (float y) { y = ReduceMean<keepdims=0>(x) }",
        "ReduceMean 'm' sums over the axis of the samples",
    ),
    "an input without samples": (
        "(float[2,6] x) => (float[2,6] y) { y = Relu(x) }",
        "its input 'x' \\[2, 6\\] has no axis of one sample in front",
    ),
    "an output that is the same for all": (
        "(float[1,6] x, float[1,6] w) => (float[1,6] y, float[1,6] z) { y = Relu(x) z = Relu(w) }",
        "the output 'z' is the same for all samples",
    ),
    "an output with samples along another axis": (
        '(float[1,6] x, float[6,6] w) => (float[6,1] y) { y = Einsum<equation="bi,ij->jb">(x, w) }',
        "gives 'y' with samples along another axis",
    ),
    "a product of each sample with each": (
        "(float[1,6] x) => (float[1,1] y) { t = Transpose(x)  y = MatMul(x, t) }",
        "MatMul 'n1' joins samples that lie along different axes",
    ),
    "an operator that nobody knows": (
        "(float[1,4] x) => (float[1,4] y) { s = Shape(x)  y = Expand(x, s) }",
        "Shape '.*' is an operator that is not known to keep samples apart",
    ),
}


@pytest.mark.parametrize(("body", "told"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_take_several_samples_is_refused_with_the_node(body: str, told: str) -> None:
    model = build(body, opset=18)
    for number, node in enumerate(model.graph):
        node.name = "m" if number == 0 else f"n{number}"
    with pytest.raises(ModelError, match=told):
        batched(model, SIZE)


def test_a_model_that_mixes_samples_is_found_on_the_cpu() -> None:
    one = build("(float[1,4] x) => (float[1,4] y) { y = Relu(x) }")
    mixing = build(
        """(float[2,4] x) => (float[2,4] y) { a = Constant<value_ints=[0]>()
        m = ReduceMax(x, a)  z = Sub(x, x)  y = Add(z, m) }""",
        opset=18,
    )
    samples = [feeds_for(input_specs(one), seed) for seed in range(2)]
    with pytest.raises(ModelError, match="output 'y' of a sample is another one"):
        check_same(one, mixing, 2, samples)


def test_calls_hold_all_samples_and_the_last_one_is_filled_from_its_first() -> None:
    samples = [{"x": np.full((1, 2), number)} for number in range(5)]
    made = list(calls(samples, 4))
    assert [call["x"][:, 0].tolist() for call in made] == [[0, 1, 2, 3], [4, 4, 4, 4]]
    back = [part for call in made for part in parted(call, 4)][:5]
    assert [one["x"].tolist() for one in back] == [one["x"].tolist() for one in samples]
