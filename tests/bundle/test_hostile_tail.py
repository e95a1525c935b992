"""A bundle whose tail is not what its manifest says is refused before anything runs it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from snapq.bundle.read import Bundle
from tests.bundle.bundles import make
from tests.bundle.test_bundle_hostile import Value, edit_manifest, refused, relist

pytestmark = pytest.mark.npu


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a tail."""
    folder = tmp_path_factory.mktemp("cut")
    make(folder, tail=True)
    return folder / "bundle"


@pytest.fixture
def copy(cut: Path, tmp_path: Path) -> Path:
    """A bundle of its own for each test."""
    return Path(shutil.copytree(cut, tmp_path / "bundle"))


def taken(value: Value) -> list[Value]:
    return list(value["tail"]["inputs"])


MANIFESTS: dict[str, tuple[Callable[[Value], object], str]] = {
    "version 1": (lambda v: v.update(schema_version="snapq.bundle/1"), "contradict"),
    "no tail": (lambda v: v.pop("tail"), "contradict"),
    "a model that is not listed": (lambda v: v["tail"].update(model="other.onnx"), "not listed"),
    "a model out of the folder": (lambda v: v["tail"].update(model="../t.onnx"), "not a plain"),
    "an output that is not there": (lambda v: v["tail"].update(outputs=["boxes"]), "take or give"),
    "an output twice": (lambda v: v["tail"].update(outputs=["probabilities"] * 2), "twice"),
    "an input twice": (lambda v: v["tail"].update(inputs=taken(v) * 2), "twice"),
    "an input less": (lambda v: v["tail"].update(inputs=[]), "take or give"),
    "an input of another name": (
        lambda v: v["tail"]["inputs"][0].update(name="x", source="input"),
        "take or give",
    ),
    "what the package does not give": (
        lambda v: v["tail"]["inputs"][0].update(name="x"),
        "does not give",
    ),
    "a type that does not exist": (
        lambda v: v["tail"]["inputs"][0].update(dtype="object"),
        "dtype",
    ),
    "a shape beyond measure": (lambda v: v["tail"]["inputs"][0].update(shape=[2**40]), "less"),
    "an unknown key": (lambda v: v["tail"].update(run="rm"), "run"),
    "the package's own model": (lambda v: v["tail"].update(model="model.onnx"), "take or give"),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_tail_that_contradicts_its_manifest_is_refused(case: str, copy: Path) -> None:
    change, words = MANIFESTS[case]
    edit_manifest(copy, change)
    assert words in refused(copy)


def test_a_tail_that_names_a_file_of_its_own_is_refused(copy: Path) -> None:
    tail = onnx.load(copy / "tail.onnx")
    weight = numpy_helper.from_array(np.zeros(4, np.float32), "w")
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="/etc/passwd")
    tail.graph.initializer.append(weight)
    (copy / "tail.onnx").write_bytes(tail.SerializeToString())
    relist(copy, "tail.onnx")
    assert "not part of the bundle" in refused(copy)


@pytest.mark.parametrize("data", [b"", b"MZ\x90\x00 not a model", b"\x00" * 100])
def test_a_tail_that_is_no_model_is_refused(data: bytes, copy: Path) -> None:
    (copy / "tail.onnx").write_bytes(data)
    relist(copy, "tail.onnx")
    refused(copy)


def test_a_tail_with_another_output_more_is_taken(copy: Path) -> None:
    tail = onnx.load(copy / "tail.onnx")
    tail.graph.node.append(helper.make_node("Identity", ["probabilities"], ["more"]))
    tail.graph.output.append(helper.make_tensor_value_info("more", 1, None))
    (copy / "tail.onnx").write_bytes(tail.SerializeToString())
    relist(copy, "tail.onnx")
    opened = Bundle.open(copy).manifest.tail
    assert opened is not None
    assert opened.outputs == ("probabilities",)
