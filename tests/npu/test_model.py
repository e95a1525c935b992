"""One facade: the same answers from a file and from memory, each asked for once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from snapq.devices.profiles import DeviceProfile, find
from snapq.errors import DeviceError, QnnError
from snapq.graph import io
from snapq.npu.model import Deferred, Memory, Model, Variants
from tests.npu.qnn import models


class Notebook:
    """What a pipeline's cache does, in a dict."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def key(self, kind: str, **parts: object) -> str:
        return json.dumps([kind, parts], sort_keys=True, default=str)

    def value(self, key: str) -> Any | None:
        return self.kept.get(key)

    def keep_value(self, key: str, value: Any) -> None:
        self.kept[key] = json.loads(json.dumps(value))


def _never() -> ir.Model:
    raise AssertionError("the answer was known")


def test_a_file_and_a_model_in_memory_give_the_same(w8a8_cnn: Path, qcs9075: DeviceProfile) -> None:
    given, loaded = Model(w8a8_cnn, qcs9075), Model(io.load(w8a8_cnn), qcs9075)
    assert given.estimate("w8a8") == loaded.estimate("w8a8")
    assert given.place() == loaded.place()
    feeds = list(models.samples(2))
    for one, other in zip(given.simulate(feeds), loaded.simulate(feeds), strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_what_is_known_is_not_asked_for_again(w8a8_cnn: Path, qcs9075: DeviceProfile) -> None:
    notebook = Notebook()
    source = Deferred("the cnn", lambda: io.load(w8a8_cnn))
    first = Model(source, qcs9075, memory=Memory(notebook)).estimate("one")
    again = Model(Deferred("the cnn", _never), qcs9075, memory=Memory(notebook)).estimate("two")
    assert (first.cycles, first.label, again.label) == (again.cycles, "one", "two")
    nodes = Model(w8a8_cnn, qcs9075, memory=Memory(notebook)).estimate_nodes("nodes")
    assert nodes.total.cycles == first.cycles
    assert len(notebook.kept) == 2


@pytest.mark.parametrize("other", [3, "text", [1], {"total": 1}, {"total": {}, "cycles": [1]}])
def test_what_is_kept_in_another_shape_is_asked_for_again(
    w8a8_cnn: Path, qcs9075: DeviceProfile, other: Any
) -> None:
    notebook = Notebook()

    def answers() -> tuple[Any, Any]:
        model = Model(w8a8_cnn, qcs9075, memory=Memory(notebook))
        return model.estimate(), model.estimate_nodes()

    first, kept = answers(), dict(notebook.kept)
    notebook.kept = dict.fromkeys(kept, other)
    assert answers() == first
    assert notebook.kept == kept


@pytest.mark.parametrize(
    "variants", [Variants((1,)), Variants(thin_strides=True)], ids=["mode", "strides"]
)
def test_the_estimate_is_that_of_what_is_compiled(
    variants: Variants, w8a8_cnn: Path, qcs9075: DeviceProfile, tmp_path: Path
) -> None:
    model = Model(w8a8_cnn, qcs9075, variants=variants)
    compiled = model.compile(tmp_path / "out", label="w8a8")
    assert compiled.form == model.form
    assert compiled.estimate == model.estimate("w8a8")


def test_a_device_without_an_estimate_takes_what_is_known_of_the_nearest(
    w8a8_cnn: Path, qcs9075: DeviceProfile, tmp_path: Path
) -> None:
    notebook = Notebook()
    near = Model(w8a8_cnn, qcs9075, memory=Memory(notebook)).compile(tmp_path / "near")
    assert len(notebook.kept) == 1
    other = find("sm8550")
    assert not other.has_estimate
    far = Model(w8a8_cnn, other, memory=Memory(notebook)).compile(tmp_path / "far", label="w8a8")
    assert near.estimate is not None
    assert far.estimate is not None
    assert (far.estimate.cycles, far.estimate.device) == (near.estimate.cycles, "sm8550")
    assert len(notebook.kept) == 1


def test_a_failure_is_not_kept(float_cnn: Path) -> None:
    notebook = Notebook()
    refused = ir.from_onnx_text(
        '<ir_version: 10, opset_import: ["": 21]>g (float[1,8] x) => (float[1,8] y) { y = Acos(x) }'
    )
    for _ in range(2):
        with pytest.raises(QnnError, match="Acos"):
            Model(refused, find("qcs9075"), memory=Memory(notebook)).estimate()
    with pytest.raises(DeviceError, match="16-bit floating point"):
        Model(float_cnn, find("qcs6490"), memory=Memory(notebook)).estimate()
    assert notebook.kept == {}
