"""A cut model and its tail compute together what the whole model computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from snapq.cpu import CpuModel
from snapq.errors import ModelError
from snapq.graph.cutting import cut, open_cut
from snapq.graph.shapes import freeze
from tests.graph.cutting.detectors import CUT, detector, picture
from tests.graph.models import build

Feeds = dict[str, np.ndarray]


def together(model: ir.Model, outputs: tuple[str, ...], feeds: Feeds) -> Feeds:
    """The outputs of the part in front and the tail, node by node as written."""
    made = cut(freeze(model, {}), outputs)
    front = CpuModel(made.model, optimize=False)
    found = front.run({name: feeds[name] for name in front.inputs})
    if made.tail is not None:
        tail = CpuModel(made.tail, optimize=False)
        known = {**feeds, **found}
        found |= tail.run({name: known[name] for name in tail.inputs})
    return {name: found[name] for name in made.outputs}


def check_same(model: ir.Model, outputs: tuple[str, ...], feeds: Feeds) -> None:
    whole = CpuModel(model, optimize=False).run(feeds)
    parts = together(model, outputs, feeds)
    assert list(parts) == list(whole)
    for name, values in whole.items():
        np.testing.assert_array_equal(parts[name], values)


def loaded(proto: onnx.ModelProto) -> ir.Model:
    return ir.serde.deserialize_model(proto)


@pytest.mark.parametrize(
    "outputs", [CUT, ("features",), ("box_map", "class_scores"), ("c1",), ("r1", "class_scores")]
)
def test_a_detector_cut_anywhere_finds_the_same_boxes(outputs: tuple[str, ...]) -> None:
    check_same(loaded(detector()), outputs, {"image": picture()})


def test_what_only_the_tail_takes_is_no_input_of_the_part_in_front() -> None:
    model = loaded(detector(sizes=True))
    feeds = {"image": picture(), "size": np.array([[3, 5, 3, 5]])}
    check_same(model, CUT, feeds)
    made = cut(freeze(model, {}), CUT)
    assert [value.name for value in made.model.graph.inputs] == ["image"]
    assert [spec.name for spec in made.tail_inputs] == ["size"]


@pytest.mark.parametrize(
    "text",
    [
        # a branch reads a tensor in front of the cut, and the data choose the branch
        """(float[4] x) => (float[4] y) {
            a = Relu(x)  b = Neg(a)  m = ReduceMax<keepdims=0>(b)  zero = Sub(m, m)
            c = Less(m, zero)
            y = If(c)<then_branch = t () => (float[4] p) { p = Add(a, b) },
                      else_branch = e () => (float[4] q) { q = Exp(b) }> }""",
        # a loop whose number of turns depends on the data
        """(float[4] x) => (float[4] y) {
            a = Relu(x)  b = Neg(a)  m = ReduceMax<keepdims=0>(x)  n = Cast<to=7>(m)
            go = Constant<value = bool {1}>()
            y = Loop(n, go, b)<body = l (int64 i, bool c, float[4] s) => (bool d, float[4] t)
                { d = Identity(c)  t = Add(s, a) }> }""",
        # one node gives two tensors: one is cut at, the tail computes the other anew
        """(float[4] x) => (float[2] y, int64[k] z) {
            a = Relu(x)  b, c = Split<num_outputs=2>(a)  d = Neg(b)  y = Mul(d, c)
            h = NonZero(d)  z = Flatten<axis=0>(h) }""",
        # scores are sorted by a head of 64-bit indices
        """(float[1, 8] x) => (float[1, 2] y, int64[1, 2] z) {
            a = Relu(x)  b = Neg(a)  k = Constant<value = int64[1] {2}>()  y, z = TopK(b, k) }""",
        # the size of an inner tensor is asked for, which takes no tensor to answer
        """(float[1, 8] x) => (float[s] y) {
            a = Relu(x)  b = Neg(a)  s = Shape(a)  c = Expand(b, s)
            f = Constant<value_ints=[-1]>()  y = Reshape(c, f) }""",
    ],
)
def test_dynamic_heads_run_in_the_tail(text: str) -> None:
    model = build(text, opset=18)
    shape = tuple(model.graph.inputs[0].shape.numpy())  # type: ignore[union-attr]
    for seed in range(3):
        values = np.random.default_rng(seed).normal(size=shape) * 3
        check_same(model, ("b",), {"x": values.astype(np.float32)})


def test_a_tail_that_asks_for_a_shape_alone_does_not_take_the_tensor() -> None:
    model = build(
        "(float[1, 8] x) => (int64[2] y) { a = Relu(x)  b = Neg(a)  s = Shape(a) "
        "n = NonZero(b)  t = Shape(n)  y = Add(s, t) }"
    )
    made = cut(freeze(model, {}), ("b",))
    assert made.tail is not None
    assert [value.name for value in made.tail.graph.inputs] == ["b"]


def test_an_output_in_front_of_the_cut_is_given_as_it_is() -> None:
    model = build("(float[4] x) => (float[4] b, float[4] y) { a = Relu(x) b = Neg(a) y = Exp(b) }")
    check_same(model, ("b",), {"x": np.ones(4, np.float32)})


def test_an_output_beside_the_cut_is_left_out_and_told() -> None:
    model = build("(float[4] x) => (float[4] y, float[4] z) { a = Relu(x) y = Exp(a) z = Neg(x) }")
    made = cut(freeze(model, {}), ("a",))
    assert made.outputs == ("y",)
    assert "Left out, as the cut does not lead there: z." in made.notes[0]


def test_work_that_the_tail_does_anew_is_told_with_the_tensors_to_name() -> None:
    model = build(
        "(float[1, 4, 8, 8] x, float[4, 4, 3, 3] w) => (float[1, 4, 6, 6] y) "
        "{ a = Conv(x, w)  b = Neg(a)  y = Add(a, b) }"
    )
    assert "as it reads a: name these" in cut(freeze(model, {}), ("b",)).notes[0]


def test_a_float16_tail_takes_floats_of_32_bits_as_the_part_in_front_gives_them() -> None:
    model = build("(float16[4] x) => (float16[4] y) { a = Relu(x)  b = Neg(a)  y = Exp(b) }")
    made = cut(freeze(model, {}), ("b",))
    assert made.tail is not None
    assert made.tail.graph.inputs[0].dtype == ir.DataType.FLOAT


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("featurs", "Did you mean 'features'?"),
        ("image", "is an input of the model"),
        ("w1", "is a constant"),
    ],
)
def test_what_cannot_be_cut_at_is_refused_in_a_sentence(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message.replace("?", r"\?")):
        cut(freeze(loaded(detector()), {}), (name,))


def test_a_tensor_inside_a_branch_is_refused_with_the_node_that_holds_it() -> None:
    model = build(
        "(float[4] x, bool c) => (float[4] y) { a = Relu(x)  y = If(c)"
        "<then_branch = t () => (float[4] p) { p = Neg(a) },"
        " else_branch = e () => (float[4] q) { q = Exp(a) }> }"
    )
    with pytest.raises(ModelError, match="'p' is inside If"):
        cut(freeze(model, {}), ("p",))


def test_codes_of_a_quantized_tensor_are_refused_with_the_tensor_to_name() -> None:
    model = build(
        "(float[4] x, float ws, uint8 wz) => (float[4] y) { a = Relu(x) "
        "q = QuantizeLinear(a, ws, wz)  d = DequantizeLinear(q, ws, wz)  y = Neg(d) }"
    )
    with pytest.raises(ModelError, match="Cut behind its DequantizeLinear: 'd'"):
        cut(freeze(model, {}), ("q",))


def test_a_model_begins_at_an_inner_tensor(tmp_path: Path) -> None:
    proto = detector()
    onnx.save(proto, tmp_path / "model.onnx")
    made = open_cut(tmp_path / "model.onnx", {"features": [1, 16, 8, 8]})
    assert [value.name for value in made.model.graph.inputs] == ["features"]
    whole = onnx.ModelProto()
    whole.CopyFrom(proto)
    whole.graph.output.append(onnx.ValueInfoProto(name="features"))
    found = CpuModel(whole.SerializeToString()).run({"image": picture()})
    begun = CpuModel(made.model).run({"features": found["features"]})
    for name, values in begun.items():
        np.testing.assert_array_equal(values, found[name])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"featurs": [1, 16, 8, 8]}, "Did you mean 'features'"),
        ({"boxes": [3, 4]}, "is an output of the model"),
        ({"features": [1, 16, 8, 8], "r1": [1, 16, 16, 16]}, "Nothing reads 'r1'"),
    ],
)
def test_where_a_model_cannot_begin_is_refused(
    inputs: dict[str, list[int]], message: str, tmp_path: Path
) -> None:
    onnx.save(detector(), tmp_path / "model.onnx")
    with pytest.raises(ModelError, match=message):
        open_cut(tmp_path / "model.onnx", inputs)
