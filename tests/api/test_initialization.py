"""`snapq init`: what it writes loads at once, and says what it guessed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from snapq.api.initialization import initialize
from snapq.config import DeployConfig
from snapq.config.reading import load
from snapq.errors import DeviceError, ModelError


def _relu(path: Path, shape: Sequence[int | str | None], name: str = "x") -> Path:
    """A model of one Relu."""
    graph = helper.make_graph(
        [helper.make_node("Relu", [name], ["y"])],
        "relu",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def _written(model: Path, target: str | Sequence[str] | None = None) -> tuple[str, DeployConfig]:
    text = initialize(model, target, folder=model.parent)
    path = model.parent / "deploy.yaml"
    path.write_text(text, encoding="utf-8")
    return text, load(path)


def test_it_names_the_model_the_target_and_the_stages(efficientnet_lite0: Path) -> None:
    text, config = _written(efficientnet_lite0, "snapdragon-8-gen-3")
    assert config.model.path == efficientnet_lite0
    assert config.model.inputs == {"input": (1, 3, 224, 224)}
    assert config.devices == ("sm8650",)
    assert [stage.name for stage in config.stages] == ["quantize", "package"]
    assert "resize: [224, 224]" in text
    assert "CHANGE: random inputs" in text


def test_the_samples_that_it_proposes_can_be_written_so(tmp_path: Path) -> None:
    for shape, tables in (([1, 4], 1), ([1, 4, 4], 0)):
        text, _ = _written(_relu(tmp_path / "m.onnx", shape))
        sources = [line.partition(": {")[2] for line in text.splitlines() if "# " in line[:5]]
        proposed = ["{" + source.partition("}")[0] + "}" for source in sources if "data/" in source]
        assert sum("table" in source for source in proposed) == tables
        assert sum("labels" in source for source in proposed) == 1
        for source in proposed:
            load(tmp_path / "deploy.yaml", [f"data.evaluation={source}"])


def test_a_target_that_is_not_named_is_marked_as_a_placeholder(tmp_path: Path) -> None:
    text, _ = _written(_relu(tmp_path / "m.onnx", [1, 4]))
    line = next(line for line in text.splitlines() if line.startswith("devices:"))
    assert "CHANGE" in line


def test_dynamic_sizes_are_those_at_which_the_model_runs(ppocr_rec: Path, tmp_path: Path) -> None:
    model = tmp_path / "rec.onnx"
    model.symlink_to(ppocr_rec)
    text, config = _written(model)
    assert config.model.inputs["x"][:3] == (1, 3, 48)
    assert "a guess where the model is dynamic" in text


@pytest.mark.parametrize(
    ("declared", "suggested"),
    [
        (["batch", 3, "height", "width"], (1, 3, 224, 224)),
        ([None, None, None, None], (1, 3, 224, 224)),
        (["N", "sequence"], (1, 128)),
        (["batch_size", "N"], (1, 128)),
        (["batch_size", "samples"], (1, 16000)),
        (["batch", 80, "samples"], (1, 80, 128)),
        (["sequence_length", 576], (128, 576)),
        ([2, None, 128], (2, 1, 128)),
        ([], ()),
    ],
)
def test_the_usual_sizes_are_guessed(
    tmp_path: Path, declared: list[int | str | None], suggested: tuple[int, ...]
) -> None:
    _, config = _written(_relu(tmp_path / "m.onnx", declared))
    assert config.model.inputs == {"x": suggested}


def test_a_size_at_which_nothing_is_left_is_none(tmp_path: Path) -> None:
    weight = np.ones((2, 1, 300), np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "long",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, "n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "w")],
    )
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    assert _written(path)[1].model.inputs == {"x": (1, 1, 512)}


def test_sizes_that_the_export_fixed_are_found(tmp_path: Path) -> None:
    """Tracing writes sizes into shapes and tables of positions, and declares them as dynamic."""
    nodes = [
        helper.make_node("Conv", ["image", "filter"], ["patches"], strides=[16, 16]),
        helper.make_node("Reshape", ["patches", "rows"], ["row"]),
        helper.make_node("Transpose", ["row"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("Add", ["turned", "positions"], ["seen"]),
        helper.make_node("Reshape", ["words", "heads"], ["read"]),
    ]
    constants = {
        "filter": np.ones((8, 3, 16, 16), np.float32),
        "rows": np.array([1, 8, -1]),
        "positions": np.ones((1, 36, 8), np.float32),
        "heads": np.array([1, 12, 2, 4]),
    }
    graph = helper.make_graph(
        nodes,
        "traced",
        [
            helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, "h", "w"]),
            helper.make_tensor_value_info("words", TensorProto.FLOAT, ["batch", "tokens", 8]),
        ],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("seen", "read")],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    assert _written(path)[1].model.inputs == {"image": (1, 3, 96, 96), "words": (1, 12, 8)}


def test_where_no_size_runs_it_says_so(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "shape"], ["y"])],
        "fixed",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array([7, 11, 13]), "shape")],
    )
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    assert "none of the usual sizes" in _written(path)[0]


def test_what_may_be_one_number_says_so(tmp_path: Path) -> None:
    assert "fixes an input" in _written(_relu(tmp_path / "m.onnx", []))[0]
    assert "fixes an input" not in _written(_relu(tmp_path / "m.onnx", [1]))[0]


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1),
    stem=st.sampled_from(["no", "a b", "ü", "--", "1.5", "$HOME", "a'\"b", "x" * 200]),
)
def test_names_of_any_kind_come_through(tmp_path: Path, name: str, stem: str) -> None:
    model = _relu(tmp_path / f"{stem}.onnx", [1, 4], name)
    _, config = _written(model)
    assert config.model.path == model
    assert config.model.inputs == {name: (1, 4)}


def test_what_cannot_be_written_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        initialize(tmp_path / "none.onnx")
    with pytest.raises(DeviceError, match="sm8650"):
        initialize(_relu(tmp_path / "m.onnx", [1]), "sm8651")


def test_several_devices_are_all_named(tmp_path: Path) -> None:
    text, config = _written(_relu(tmp_path / "m.onnx", [1, 4]), ["qcs9075", "SM8650", "sm8650"])
    assert config.devices == ("qcs9075", "sm8650")
    assert "# Dragonwing IQ-9075, Snapdragon 8 Gen 3" in text
