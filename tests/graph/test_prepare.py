"""Preparing whole models, real and odd: the same results, in a form that the NPU takes."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from snapq.cpu import CpuModel
from snapq.errors import ModelError
from snapq.graph import io
from snapq.graph.prepare import Prepared, prepare
from snapq.graph.shapes import InputShapes, freeze, static_shape
from snapq.npu.unsupported import unsupported
from tests.graph.models import assert_same_results, build, prepared_from


def _check(path: Path, shapes: InputShapes) -> Prepared:
    """Prepares a real model and checks what must hold for every prepared model."""
    model = io.load(path)
    prepared = prepare(model, shapes)
    original = freeze(model, shapes)
    for value in original.graph.outputs:
        value.shape = None
    assert_same_results(original, prepared.model, seeds=1)
    assert_well_formed(prepared.model)
    assert unsupported(prepared.model) == ()
    assert io.serialized(prepared.model) == io.serialized(prepare(model, shapes).model)
    return prepared


def assert_well_formed(model: ir.Model) -> None:
    nodes = [node.name for node in model.graph]
    values = [value.name for node in model.graph for value in node.outputs if value.name]
    values += [value.name for value in model.graph.inputs] + list(model.graph.initializers)
    assert all(nodes)
    assert len(set(nodes)) == len(nodes)
    assert len(set(values)) == len(values)
    for node in model.graph:
        for output in node.outputs:
            assert not output.name or (
                output.dtype is not None and static_shape(output) is not None
            )


def _operators(prepared: Prepared) -> Counter[str]:
    return Counter(node.op_type for node in prepared.model.graph)


def test_efficientnet_folds_its_paddings(efficientnet_lite0: Path) -> None:
    found = _operators(_check(efficientnet_lite0, {"input": [1, 3, 224, 224]}))
    assert found == {"Conv": 49, "Clip": 33, "Add": 9, "ReduceMean": 1, "Flatten": 1, "Gemm": 1}


def test_efficientnet_folds_its_batch_normalizations(efficientnet_lite0_batch_norm: Path) -> None:
    prepared = _check(efficientnet_lite0_batch_norm, {"input": [1, 3, 224, 224]})
    assert _operators(prepared)["Conv"] == 49
    assert "BatchNormalization" not in _operators(prepared)


def test_centerface_takes_its_real_shape(centerface: Path) -> None:
    prepared = _check(centerface, {"input.1": [1, 3, 480, 640]})
    assert static_shape(prepared.model.graph.outputs[0]) == (1, 1, 120, 160)
    assert "BatchNormalization" not in _operators(prepared)


def test_the_text_recognizer_gets_its_fused_operators(ppocr_rec: Path) -> None:
    found = _operators(_check(ppocr_rec, {"x": [1, 3, 48, 320]}))
    assert (found["Gelu"], found["Sigmoid"], found["LayerNormalization"]) == (13, 5, 5)
    assert not found.keys() & {"Erf", "Sqrt", "Identity", "Shape", "BatchNormalization"}


def test_the_text_detector_gets_its_fused_operators(ppocr_det: Path) -> None:
    found = _operators(_check(ppocr_det, {"x": [1, 3, 320, 320]}))
    assert found["Gelu"] == 13
    assert not found.keys() & {"Erf", "Identity", "Div"}


def test_the_angle_classifier_gets_hard_swish(ppocr_cls: Path) -> None:
    found = _operators(_check(ppocr_cls, {"x": [1, 3, 48, 192]}))
    assert found["HardSwish"] == 18
    assert "BatchNormalization" not in found


def test_voice_detection_folds_the_branch_on_its_sample_rate(silero_vad: Path) -> None:
    prepared = _check(silero_vad, {"input": [1, 576], "state": [2, 1, 128], "sr": 16000})
    assert [value.name for value in prepared.model.graph.inputs] == ["input", "state"]
    assert "If" not in _operators(prepared)


def test_voice_detection_has_its_recurrent_layer_unrolled(silero_vad_lstm: Path) -> None:
    found = _operators(_check(silero_vad_lstm, {}))
    assert found["LSTM"] == 0
    assert found["Tanh"] == 2


TRANSFORMER = """(int64[B,T] ids, float[50,16] w_table, float[16,48] w_qkv, float[48] w_b,
    float[16,16] w_out, float[16] w_scale, float[16] w_bias) => (float[B,T,16] y) {
    x = Gather(w_table, ids) h = MatMul(x, w_qkv) qkv = Add(h, w_b)
    s = Shape(qkv) i0 = Constant <value_int = 0> () i1 = Constant <value_int = 1> ()
    b = Gather(s, i0) t = Gather(s, i1) z = Constant <value_ints = [0]> ()
    bu = Unsqueeze(b, z) tu = Unsqueeze(t, z) m = Constant <value_ints = [-1]> ()
    heads = Constant <value_ints = [4, 4]> ()
    full = Concat <axis = 0> (bu, tu, heads)
    q, k, v = Split <axis = 2> (qkv)
    q4 = Reshape(q, full) k4 = Reshape(k, full) v4 = Reshape(v, full)
    qt = Transpose <perm = [0,2,1,3]> (q4) kt = Transpose <perm = [0,2,3,1]> (k4)
    vt = Transpose <perm = [0,2,1,3]> (v4)
    a = MatMul(qt, kt) r = Constant <value_float = 2.0> () d = Div(a, r)
    p = Softmax <axis = -1> (d) o = MatMul(p, vt) ot = Transpose <perm = [0,2,1,3]> (o)
    flat = Concat <axis = 0> (bu, tu, m) oo = Reshape(ot, flat) u = MatMul(oo, w_out)
    e = Constant <value_float = 0.00001> () two = Constant <value_float = 2.0> ()
    res = Add(u, x) mean = ReduceMean <axes = [-1]> (res) c = Sub(res, mean) sq = Pow(c, two)
    var = ReduceMean <axes = [-1]> (sq) ve = Add(var, e) sd = Sqrt(ve) n = Div(c, sd)
    ns = Mul(n, w_scale) y = Add(ns, w_bias) }"""


def test_a_transformer_block_with_computed_shapes() -> None:
    model = build(TRANSFORMER)
    prepared = prepare(model, {"ids": [1, 6]})
    assert_same_results(freeze(model, {"ids": [1, 6]}), prepared.model)
    assert_well_formed(prepared.model)
    assert unsupported(prepared.model) == ()
    found = _operators(prepared)
    assert found["LayerNormalization"] == 1
    assert not found.keys() & {"Shape", "Sqrt", "Concat", "Unsqueeze"}


def test_recurrent_layers_of_both_directions() -> None:
    _, operators = prepared_from(
        """(float[12,1,4] x, float[2,24,4] w, float[2,24,6] w1, float[2,48] w2, float[2,18,12] w3,
            float[2,18,6] w4, float[2,36] w5) => (float[12,1,12] a, float[12,2,1,6] y) {
            h = LSTM <hidden_size = 6, direction = "bidirectional"> (x, w, w1, w2)
            t = Transpose <perm = [0,2,1,3]> (h) s = Constant <value_ints = [0, 0, -1]> ()
            a = Reshape(t, s)
            y = GRU <hidden_size = 6, direction = "bidirectional", linear_before_reset = 1>
                (a, w3, w4, w5) }"""
    )
    assert "LSTM" in operators
    assert "GRU" in operators


def test_a_half_precision_model_becomes_float32_and_says_so() -> None:
    model = build(
        """(float16[1,4,6,6] x, float16[8,4,3,3] w) => (float16[1,8,4,4] y) {
            a = Conv(x, w) b = Cast <to = 1> (a) c = Exp(b) y = Cast <to = 10> (c) }"""
    )
    prepared = prepare(model, {})
    assert_same_results(model, prepared.model, tolerance=1e-2)
    assert [node.op_type for node in prepared.model.graph] == ["Conv", "Exp"]
    assert "'x' (float16), 'y' (float16)" in prepared.notes[0]


def test_functions_of_the_model_are_inlined() -> None:
    import onnx

    proto = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17, "my" : 1]>
        g (float[2,3] x) => (float[2,3] y) { y = my.twice(x) }
        <domain: "my", opset_import: ["" : 17]> twice (a) => (b) { b = Add(a, a) }"""
    )
    model = ir.serde.deserialize_model(proto)
    prepared = prepare(model, {})
    assert [node.op_type for node in prepared.model.graph] == ["Add"]
    assert_same_results(model, prepared.model)


def test_an_operator_of_a_custom_domain_is_refused_by_name() -> None:
    model = build("(float[2] x) => (float[2] y) { y = mine.Magic(x) }", domains=', "mine" : 1')
    with pytest.raises(ModelError, match=r"mine\.Magic|mine:Magic"):
        prepare(model, {})


def test_boxes_whose_number_depends_on_the_data_are_told_in_one_sentence() -> None:
    model = build(
        """(float[1,10,4] boxes, float[1,1,10] scores) => (int64[N,3] y) {
            k = Constant <value = int64[1] {5}> () y = NonMaxSuppression(boxes, scores, k) }"""
    )
    model.graph[1].name = "nms"
    prepared = prepare(model, {})
    assert len(prepared.notes) == 1
    assert "NonMaxSuppression 'nms' depends on the data" in prepared.notes[0]
    assert [item.node for item in unsupported(prepared.model)] == ["nms"]


def test_a_shape_that_does_not_fit_the_weights_is_refused() -> None:
    model = build("(float[N,C] x, float[8,3] w) => (float[N,3] y) { y = MatMul(x, w) }")
    with pytest.raises(ModelError, match=r"model\.inputs"):
        prepare(model, {"x": [1, 9]})


def test_nan_in_the_weights_is_refused() -> None:
    model = build("(float[1,2] x, float[2,2] w) => (float[1,2] y) { y = MatMul(x, w) }")
    array = np.full((2, 2), np.nan, np.float32)
    model.graph.initializers["w"].const_value = ir.tensor(array, name="w")
    with pytest.raises(ModelError, match="w: 4 of 4 weights"):
        prepare(model, {})


def test_the_model_given_stays_as_it_is() -> None:
    model = build(TRANSFORMER)
    before = io.serialized(model)
    prepare(model, {"ids": [1, 6]})
    assert io.serialized(model) == before


def test_outputs_keep_their_names_and_order_even_when_equal_or_inputs() -> None:
    model = build(
        """(float[2] x) => (float[2] a, float[2] b, float[2] c, float[2] d) {
            a = Relu(x) b = Relu(x) c = Identity(x) k = Constant <value_floats = [1.0, 2.0]> ()
            d = Identity(k) }"""
    )
    prepared = prepare(model, {})
    assert [value.name for value in prepared.model.graph.outputs] == ["a", "b", "c", "d"]
    assert_same_results(model, prepared.model)


def test_a_sequence_that_stays_keeps_its_type() -> None:
    text = """(float[2,3] x, int64 i) => (float[2,3] y) {
        a = Relu(x) s = SequenceConstruct(a, x) t = SequenceInsert(s, x) y = SequenceAt(t, i) }"""
    prepared, operators = prepared_from(text)
    assert operators == ["Relu", "SequenceConstruct", "SequenceInsert", "SequenceAt"]
    assert prepared.notes == ()


@pytest.mark.parametrize("operator", ["Conv", "Shape", "Gather", "If"])
def test_a_node_without_its_inputs_is_refused_by_name(operator: str) -> None:
    model = build("(float[1,4,6,6] x) => (float[1,4,6,6] y) { y = Relu(x) }")
    node = ir.node(operator, [], name="bare")
    model.graph.insert_before(model.graph[0], node)
    with pytest.raises(ModelError, match=rf"bare: {operator} has 0 of the \d"):
        prepare(model, {})


@pytest.mark.parametrize("shape", ["", "[3]"])
def test_what_onnxruntime_refuses_is_refused_in_its_words(shape: str) -> None:
    model = build(
        f"""(float[1,4,6,6] x, float{shape} w) => (float[1,4,6,6] y) {{
            y = Conv <auto_pad = "SAME_UPPER"> (x, w) }}"""
    )
    with pytest.raises(ModelError, match="spatial dimensions in the weight"):
        prepare(model, {})


def _operator_tests() -> list[object]:
    """ONNX's own tests of operators: every eighth, of those that the CPU runs with tensors."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    random = ("bernoulli", "random", "training", "dropout", "string", "sequence", "optional")
    kept = [case for case in cases if not any(word in case.name for word in random)]
    return sorted(kept, key=lambda case: str(case.name))[::8]


@pytest.mark.slow
def test_onnx_operator_tests_give_the_same_results() -> None:
    compared = 0
    for case in _operator_tests():
        arrays = case.data_sets[0][0]
        names = [value.name for value in case.model.graph.input]
        if any(not isinstance(array, np.ndarray) or 0 in array.shape for array in arrays):
            continue
        feeds = dict(zip(names, arrays, strict=False))
        try:
            reference = CpuModel(case.model.SerializeToString(), optimize=False).session
            wanted = reference.run(None, feeds)
        except Exception:  # ONNX has operators and types that ONNX Runtime does not run
            continue
        try:
            model = prepare(ir.serde.deserialize_model(case.model), {}).model
        except ModelError:
            continue
        session = CpuModel(model, optimize=False).session
        given = {
            item.name: feeds[item.name].astype(np.float32)
            if item.type == "tensor(float)"
            else feeds[item.name]
            for item in session.get_inputs()
        }
        for one, other in zip(wanted, session.run(None, given), strict=True):
            if one.dtype.kind == "f" and one.dtype != np.float16:
                np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-4, err_msg=case.name)
            elif one.dtype.kind in "iub" and feeds and arrays[0].dtype != np.float16:
                np.testing.assert_array_equal(other, one, err_msg=case.name)
        compared += 1
    assert compared > 120
