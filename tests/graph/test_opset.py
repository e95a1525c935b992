"""The opset upgrade: operators of every old form compute what they computed."""

from __future__ import annotations

import pytest

from snapq.errors import ModelError
from snapq.graph.inference import infer_shapes
from snapq.graph.opset import settle_opset, upgrade_opset
from tests.graph.models import assert_same_results, build

OLD_FORMS = [
    (7, "BatchNormalization",
     "y = BatchNormalization <epsilon = 0.01> (x, w1, w2, w3, w_positive)"),
    (7, "Upsample", 'y = Upsample <mode = "nearest", scales = [1.0, 1.0, 2.0, 3.0]> (x)'),
    (7, "Dropout", "y = Dropout <ratio = 0.5> (x)"),
    (9, "Slice", "y = Slice <starts = [0, 1], ends = [2, -1], axes = [1, 3]> (x)"),
    (9, "TopK", "y, i = TopK <k = 2> (x)"),
    (9, "Upsample input", 's = Constant <value = float[4] {1.0, 1.0, 2.0, 2.0}> () '
     'y = Upsample <mode = "linear"> (x, s)'),
    (10, "Resize", 's = Constant <value = float[4] {1.0, 1.0, 2.0, 0.5}> () y = Resize(x, s)'),
    (10, "Clip", "y = Clip <min = -0.5, max = 0.25> (x)"),
    (10, "Clip of one bound", "y = Clip <max = 0.25> (x)"),
    (10, "Pad", "y = Pad <pads = [0,0,1,0,0,0,2,1], value = 3.0> (x)"),
    (11, "Softmax of the last axes together", "y = Softmax <axis = 2> (x)"),
    (11, "Softmax by default", "y = Softmax(x)"),
    (11, "LogSoftmax of one axis", "y = LogSoftmax <axis = 3> (x)"),
    (11, "Hardmax", "y = Hardmax <axis = 1> (x)"),
    (11, "Squeeze", "a = Unsqueeze <axes = [0, 5]> (x) y = Squeeze <axes = [5]> (a)"),
    (11, "Split", "y, z = Split <axis = 1, split = [1, 3]> (x)"),
    (11, "Split in equal parts", "y, z = Split <axis = 1> (x)"),
    (11, "ReduceSum", "y = ReduceSum <axes = [1, -1], keepdims = 0> (x)"),
    (13, "ReduceMean", "y = ReduceMean <axes = [2, 3]> (x)"),
    (13, "ReduceL2 of all", "y = ReduceL2 <keepdims = 0> (x)"),
    (17, "GridSample", 'g = Transpose <perm = [0,2,3,1]> (x) h = Slice(g, a0, a2, a3) '
     'y = GridSample <mode = "bilinear"> (x, h)'),
    (11, "Resize with half pixels for the nearest", 'r = Constant <value = float[0] {}> () '
     's = Constant <value = float[4] {1.0, 1.0, 2.0, 2.0}> () y = Resize '
     '<coordinate_transformation_mode = "tf_half_pixel_for_nn", nearest_mode = "floor"> (x, r, s)'),
]  # fmt: skip


@pytest.mark.parametrize(("opset", "name", "body"), OLD_FORMS, ids=[f[1] for f in OLD_FORMS])
def test_an_old_form_computes_the_same_in_opset_21(opset: int, name: str, body: str) -> None:
    starts = "".join(
        f"a{value} = Constant <value = int64[1] {{{value}}}> () " for value in (0, 2, 3)
    )
    outputs = ", ".join(f"float[{rank}] {value}" for rank, value in (("", "y"), ("", "z")))
    wanted = outputs if " z " in body or ", z" in body else "float[] y"
    text = (
        f"(float[1,4,6,6] x, float[4] w1, float[4] w2, float[4] w3, float[4] w_positive) => "
        f"({wanted}) {{ {starts} {body} }}"
    )
    model = build(text, opset)
    for output in model.graph.outputs:
        output.shape = None
    upgraded = model.clone()
    infer_shapes(upgraded)
    assert upgrade_opset(upgraded)
    assert upgraded.opset_imports[""] == 21
    assert_same_results(model, upgraded, tolerance=1e-6)


def test_branches_are_upgraded_too() -> None:
    model = build(
        """(bool c, float[4] x) => (float[1,4] y) { y = If(c) <
            then_branch = t () => (float[1,4] a) { a = Unsqueeze<axes=[0]>(x) },
            else_branch = e () => (float[1,4] b) { n = Neg(x) b = Unsqueeze<axes=[0]>(n) }> }""",
        opset=11,
    )
    upgraded = model.clone()
    upgrade_opset(upgraded)
    assert_same_results(model, upgraded, tolerance=0, seeds=4)


def test_a_form_that_no_longer_exists_is_refused_by_the_nodes_name() -> None:
    model = build(
        """(float[2,4] x, float[4] w1, float[4] w2, float[4] w3, float[4] w4) => (float[2,4] y) {
            y = BatchNormalization <spatial = 0> (x, w1, w2, w3, w4) }""",
        opset=7,
    )
    model.graph[0].name = "old_norm"
    with pytest.raises(ModelError, match=r"old_norm: .*spatial=0"):
        upgrade_opset(model)


def test_the_declared_opset_settles_at_the_first_that_has_every_operator() -> None:
    plain = build("(float[2] x) => (float[2] y) { y = Relu(x) }", opset=23)
    swish = build("(float[2] x) => (float[2] y) { y = Swish(x) }", opset=24)
    assert settle_opset(plain) == 21
    assert settle_opset(swish) == 24
