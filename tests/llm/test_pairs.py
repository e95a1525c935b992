"""A pair that another tool exported is taken apart into the decoder that it computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir
import pytest
from onnx import helper, numpy_helper

from snapq import api
from snapq.errors import SnapqError
from snapq.llm.files import DECODE, PREFILL, WEIGHTS, Folder
from snapq.llm.pairs.taken import read_pair
from snapq.llm.pairs.vocabulary import read_vocabulary
from snapq.llm.pairs.writing import write_taken
from tests.llm import reference
from tests.llm.conftest import speaker
from tests.llm.exported import export_dynamic, export_pair

Write = Callable[[Path], Path]
BIASES = ("q_proj", "k_proj", "v_proj")
TEXT = [int(i) for i in np.random.default_rng(3).integers(0, 256, 30)]


def written_anew(pair: tuple[Path, Path], folder: Path) -> Folder:
    """The pair that is written of another, which is proved to compute the same."""
    tokenizer = folder.parent / "tokenizer.json"
    reference.write_tokenizer(tokenizer)
    done = write_taken(read_pair(*pair), read_vocabulary(tokenizer), folder)
    assert done.difference < 1e-5
    return Folder.open(folder)


@pytest.mark.parametrize(
    ("growth", "options", "changed", "biases"),
    [
        ("new", {}, {}, ()),
        pytest.param("new", {"empty": True}, {}, (), marks=pytest.mark.slow),
        pytest.param("whole", {"packed": True}, {}, BIASES, marks=pytest.mark.slow),
        pytest.param("new", {"neighbours": True}, {}, BIASES, marks=pytest.mark.slow),
        pytest.param("whole", {"additive": True}, {}, BIASES, marks=pytest.mark.slow),
        pytest.param(
            "in place", {}, {"num_key_value_heads": 1, "head_dim": 12}, (), marks=pytest.mark.slow
        ),
    ],
)
def test_logits_are_those_of_pytorch(
    growth: str, options: dict[str, bool], changed: dict[str, Any], biases: Any, tmp_path: Path
) -> None:
    config = {**reference.SMALL, **changed}
    weights = reference.random_weights(config, bias=biases)
    pair = export_pair(tmp_path / "given", config, weights, growth, **options)
    folder = written_anew(pair, tmp_path / "pair")
    assert (folder.facts.context, folder.facts.prefill) == (64, 16)
    if options.get("neighbours"):  # the reference turns halves
        return
    run = speaker(folder.path)
    wanted = reference.logits(config, weights, TEXT).numpy()
    logits, state = run.listen(run.start(), TEXT[:20])
    assert np.abs(logits - wanted[19]).max() < 1e-3
    for place, token in enumerate(TEXT[20:23], 20):
        logits, state = run.say(state, token)
        assert np.abs(logits - wanted[place]).max() < 1e-3


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_what_llm_init_writes_is_written_again_byte_by_byte(
    kind: str, tmp_path: Path, written: Write
) -> None:
    more = {"model_type": "qwen3", "head_dim": 32} if kind == "qwen3" else {}
    config = {**reference.SMALL, **more}
    weights = reference.random_weights(config, qk_norm=kind == "qwen3")
    given = written(reference.write_folder(tmp_path / "published", config, weights))
    folder = written_anew((given / PREFILL, given / DECODE), tmp_path / "pair")
    for name in (PREFILL, DECODE, WEIGHTS):
        assert (folder.path / name).read_bytes() == (given / name).read_bytes()


@pytest.mark.slow
def test_an_export_of_any_length_becomes_a_pair(tmp_path: Path) -> None:
    weights = reference.random_weights(reference.SMALL)
    file = export_dynamic(tmp_path / "given" / "model.onnx", reference.SMALL, weights)
    reference.write_tokenizer(file.parent / "tokenizer.json")
    run = speaker(api.llm_init(file.parent, tmp_path / "pair", context=64, prefill=16).path)
    logits, _ = run.listen(run.start(), TEXT)
    wanted = reference.logits(reference.SMALL, weights, TEXT).numpy()[-1]
    assert np.abs(logits - wanted).max() < 1e-3
    with pytest.raises(SnapqError, match="has no fixed shape"):
        read_pair(file, file)
    fixed, decode = export_pair(tmp_path / "fixed", reference.SMALL, weights)
    reference.write_tokenizer(fixed.parent / "tokenizer.json")
    with pytest.raises(SnapqError, match="The export has fixed shapes"):
        api.llm_init(fixed, tmp_path / "other", context=64, prefill=16)
    done = api.llm_init(fixed, tmp_path / "other", decode=decode)
    assert (done.context, done.prefill, done.layers) == (64, 16, 2)


def test_large_weights_stay_in_their_file(
    published: Path, written: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = written(published)
    monkeypatch.setattr("snapq.llm.pairs.graph._MAPPED", 0)
    taken = read_pair(given / PREFILL, given / DECODE)
    assert taken.decoder.rope.base == reference.SMALL["rope_theta"]
    held = taken.prefill.model.graph.initializers["layers.0.q.weight_transposed"].const_value
    assert isinstance(held, onnx_ir.ExternalTensor)


Graph = onnx.GraphProto


def _initializer(graph: Graph, name: str) -> onnx.TensorProto:
    return next(tensor for tensor in graph.initializer if tensor.name == name)


def _other_weights(graph: Graph) -> None:
    tensor = _initializer(graph, "layers.1.up.weight_transposed")
    array = numpy_helper.to_array(tensor).copy()
    array[0, 0] += 1
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _dynamic(graph: Graph) -> None:
    graph.input[0].type.tensor_type.shape.dim[1].dim_param = "sequence"


def _own_operator(graph: Graph) -> None:
    node = next(node for node in graph.node if node.name == "layers.0.head0.share")
    node.op_type, node.domain = "GroupQueryAttention", "com.microsoft"


def _gelu(graph: Graph) -> None:
    node = next(node for node in graph.node if node.name == "layers.1.gate_sigmoid")
    node.op_type = "Tanh"


def _more_input(graph: Graph) -> None:
    value = helper.make_tensor_value_info("lora_scale", onnx.TensorProto.FLOAT, [1, 3])
    graph.input.append(value)


def _batch(graph: Graph) -> None:
    graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2


def _no_output(graph: Graph) -> None:
    graph.output.remove(next(v for v in graph.output if v.name == "present_value_1"))


def _another_norm(graph: Graph) -> None:
    node = next(node for node in graph.node if node.name == "layers.1.norm2")
    node.op_type = "LayerNormalization"
    node.input.append("layers.1.norm2.weight")


def _another_epsilon(graph: Graph) -> None:
    node = next(node for node in graph.node if node.name == "layers.1.norm2")
    del node.attribute[:]
    node.attribute.append(helper.make_attribute("epsilon", 1e-2))


def _softcap(graph: Graph) -> None:
    """What a decoder of the Llama type does not do, in plain operators."""
    node = next(node for node in graph.node if node.name == "logits")
    node.output[0] = "uncapped"
    graph.node.append(helper.make_node("Tanh", ["uncapped"], ["logits"], "cap"))


def _not_turned(graph: Graph) -> None:
    for name in ("cosine_queries", "sine_queries", "cosine_keys", "sine_keys"):
        node = next(node for node in graph.node if node.name == name)
        node.input[1] = "row_zero"
    zero = np.zeros((1, graph.input[0].type.tensor_type.shape.dim[1].dim_value), np.int32)
    graph.initializer.append(numpy_helper.from_array(zero, "row_zero"))


CASES: dict[str, tuple[tuple[str, ...], Callable[[Graph], None], str]] = {
    "other weights in one": ((DECODE,), _other_weights, "'layers.1.up.weight_transposed' holds ot"),
    "dynamic shapes": ((PREFILL,), _dynamic, r"'input_ids' \[1, sequence\] has no fixed shape"),
    "attention in one": ((DECODE,), _own_operator, "GroupQueryAttention 'layers.0.head0.share' of"),
    "another gate": ((PREFILL, DECODE), _gelu, "The gate of block 1 is not SiLU: Tanh"),
    "another input": ((PREFILL,), _more_input, r"'lora_scale' \[1, 3\] is none that a pair has"),
    "a batch": ((DECODE,), _batch, r"'input_ids' takes \[2, 1\] tokens, and the cache 1"),
    "a cache that is not given": ((DECODE,), _no_output, "new of the cache 'past_value_1'"),
    "LayerNorm": ((PREFILL, DECODE), _another_norm, "LayerNormalization 'layers.1.norm2' stands"),
    "two epsilons": ((PREFILL, DECODE), _another_epsilon, "have different epsilons"),
    "a cap": ((PREFILL, DECODE), _softcap, "computes something else than a decoder"),
    "no positions": ((PREFILL, DECODE), _not_turned, "not turned by their position"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_no_such_pair_is_refused_in_a_sentence(
    case: str, published: Path, written: Write, tmp_path: Path
) -> None:
    files, change, told = CASES[case]
    folder = written(published)
    for name in files:
        model = onnx.load(folder / name)
        change(model.graph)
        onnx.save(model, folder / name)
    with pytest.raises(SnapqError, match=told) as raised:
        written_anew((folder / PREFILL, folder / DECODE), tmp_path / "pair")
    assert raised.value.where in [str(folder / name) for name in (PREFILL, DECODE)]
    assert raised.value.hint
    assert raised.value.exit_code == 2


def test_graphs_that_do_not_belong_together_are_refused(
    published: Path, written: Write, tmp_path: Path
) -> None:
    folder = written(published)
    given = (folder / PREFILL, folder / DECODE)
    with pytest.raises(SnapqError, match="`prefill` takes 1 tokens at once and `decode` 16"):
        read_pair(*reversed(given))
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / DECODE
    other.write_bytes(b"")
    with pytest.raises(SnapqError, match="empty"):
        read_pair(given[0], other)
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Relu", ["x"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 4])],
            [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 4])],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(model, other)
    with pytest.raises(SnapqError, match="It has 0 inputs that are joined"):
        read_pair(given[0], other)
