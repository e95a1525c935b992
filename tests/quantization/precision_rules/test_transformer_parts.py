"""The parts of a transformer: residual sums, attention, feed-forward layers, each with the last."""

import numpy as np
import onnx
import pytest

from snapq.graph import io, prepare, shapes
from snapq.quantization.precision_rules.transformer_parts import PARTS, transformer_parts
from snapq.quantization.qdq.lowering.order import lifted
from tests import assets
from tests.quantization.hard_models import convolutions_and_encoder, encoder_with_outliers
from tests.quantization.odd_models import Builder


def kinds(graph, names):
    found = {}
    for node in graph:
        if str(node.name) in names:
            found[node.op_type] = found.get(node.op_type, 0) + 1
    return found


def test_each_part_of_an_encoder_holds_the_one_before():
    graph = lifted(encoder_with_outliers(2)).graph
    parts = transformer_parts(graph)
    assert tuple(parts) == PARTS
    assert parts["sums"] < parts["attention"] < parts["feed-forward"]
    assert kinds(graph, parts["sums"]) == {"LayerNormalization": 5, "Add": 4, "MatMul": 4}
    attention = kinds(graph, parts["attention"] - parts["sums"])
    assert {name: attention[name] for name in ("Softmax", "Mul", "MatMul")} == {
        "Softmax": 2,
        "Mul": 2,
        "MatMul": 10,
    }
    assert "Gelu" not in attention
    last = kinds(graph, parts["feed-forward"] - parts["attention"])
    assert (last["Gelu"], last["MatMul"]) == (2, 2)


def test_layers_behind_the_last_sum_and_convolutions_in_front_belong_to_no_part():
    graph = lifted(convolutions_and_encoder()).graph
    whole = transformer_parts(graph)["feed-forward"]
    convs = [node for node in graph if node.op_type == "Conv"]
    assert [str(node.name) in whole for node in convs] == [False] * 4 + [True]
    assert str(list(graph)[-1].name) not in whole


def test_a_table_of_embeddings_belongs_to_no_part():
    b = Builder()
    ids = b.feed("ids", 1, 8, dtype=onnx.TensorProto.INT64)
    x = b.add("Gather", b.normal(50, 16), ids)
    for _ in range(2):
        x = b.add("LayerNormalization", x, np.ones(16, np.float32), np.zeros(16, np.float32))
        scores = b.add("Softmax", b.add("MatMul", x, b.add("Transpose", x, perm=[0, 2, 1])))
        x = b.add("Add", x, b.add("MatMul", scores, x))
    graph = lifted(b.model(x)).graph
    assert "Gather" not in kinds(graph, transformer_parts(graph)["feed-forward"])


@pytest.mark.parametrize("get", [assets.centerface, assets.silero_vad_lstm])
def test_other_networks_have_no_parts(get):
    assert transformer_parts(lifted(io.load(get())).graph) == {}


def test_the_trained_recognizer_s_attention_is_found_behind_its_convolutions():
    frozen = shapes.freeze(io.load(assets.ppocr_rec()), {"x": (1, 3, 48, 320)})
    graph = lifted(prepare.prepare(frozen, {}).model).graph
    parts = transformer_parts(graph)
    assert kinds(graph, parts["feed-forward"] - parts["sums"])["Softmax"] == 2
    assert kinds(graph, parts["sums"])["LayerNormalization"] == 5
    assert len(parts["feed-forward"]) < len(list(graph)) / 2
