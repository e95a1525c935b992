"""A damaged or hostile bundle is refused before anything in it is used."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from snapq.bundle.manifest import boundary_of, checksum_of, read_manifest
from snapq.bundle.read import Bundle
from snapq.bundle.write import write_arrays
from snapq.errors import StorageError
from snapq.graph.boundary import Boundary
from snapq.stages.package.build import Built

pytestmark = pytest.mark.npu

Value = dict[str, Any]


@pytest.fixture
def copy(made: tuple[Built, Path], tmp_path: Path) -> Path:
    """A bundle of its own for each test."""
    return Path(shutil.copytree(made[1], tmp_path / "bundle"))


def edit_manifest(folder: Path, change: Callable[[Value], object]) -> None:
    path = folder / "manifest.json"
    value = json.loads(path.read_text())
    change(value)
    value["checksum"] = checksum_of(value)  # as who means harm would
    path.write_text(json.dumps(value))


def relist(folder: Path, name: str) -> None:
    """Lets the manifest vouch for a file that was changed."""
    data = (folder / name).read_bytes()

    def change(value: Value) -> None:
        files = [entry for entry in value["files"] if entry["path"] != name]
        digest = hashlib.sha256(data).hexdigest()
        value["files"] = [*files, {"path": name, "bytes": len(data), "sha256": digest}]

    edit_manifest(folder, change)


def refused(folder: Path) -> str:
    with pytest.raises(StorageError) as caught:
        Bundle.open(folder)
    text = str(caught.value)
    assert all(character.isprintable() for character in text), repr(text)
    return text


def set_path(value: Value, path: str) -> None:
    value["files"][0]["path"] = path


MANIFESTS: dict[str, tuple[Callable[[Value], object], str]] = {
    "path out of the folder": (lambda v: set_path(v, "../../etc/passwd"), "not a plain path"),
    "path that hides its way out": (lambda v: set_path(v, "a/../../b"), "not a plain path"),
    "absolute path": (lambda v: set_path(v, "/etc/passwd"), "not a plain path"),
    "path of another system": (lambda v: set_path(v, "C:\\x"), "not a plain path"),
    "two spellings of a path": (lambda v: set_path(v, "./model.onnx"), "not a plain path"),
    "empty path": (lambda v: set_path(v, ""), "not a plain path"),
    "terminal codes in a path": (lambda v: set_path(v, "a\x1b[2Jb"), "control characters"),
    "turned text in a name": (
        lambda v: v["outputs"][0].update(name="a\u202eb"),
        "control characters",
    ),
    "a name of megabytes": (lambda v: v["inputs"][0].update(name="x" * 10**6), "4096"),
    "a size beyond measure": (lambda v: v["files"][0].update(bytes=2**62), "less than or equal"),
    "a negative size": (lambda v: v["files"][0].update(bytes=-1), "greater than or equal"),
    "a shape beyond measure": (lambda v: v["inputs"][0].update(shape=[2**40]), "less than"),
    "a shape that contradicts": (lambda v: v["inputs"][0].update(shape=[1, 3]), "contradict"),
    "a permutation that is none": (
        lambda v: v["inputs"][0].update(permutation=[0, 0, 1, 2]),
        "permutation",
    ),
    "a type that does not exist": (lambda v: v["inputs"][0].update(dtype="object"), "dtype"),
    "a hash that is none": (lambda v: v["files"][0].update(sha256="0"), "sha256"),
    "another schema": (lambda v: v.update(schema_version="snapq.bundle/9"), "of schema"),
    "no schema": (lambda v: v.pop("schema_version"), "of schema"),
    "an unknown key": (lambda v: v.update(run="rm -rf /"), "run"),
    "a key that is missing": (lambda v: v.pop("devices"), "devices"),
    "a wrong type": (lambda v: v.update(devices="all"), "devices"),
    "a device that is a path": (
        lambda v: v["devices"][0].update(device="../../x"),
        "not a device name",
    ),
    "a model that is not listed": (lambda v: v.update(model="other.onnx"), "not listed"),
    "a file listed twice": (lambda v: v["files"].append(v["files"][0]), "listed twice"),
    "a file that is not there": (
        lambda v: v["files"].append({"path": "x", "bytes": 0, "sha256": "0" * 64}),
        "missing from the bundle",
    ),
    "a scale of nothing": (
        lambda v: v["inputs"][0]["encoding"].update(scale=0.0),
        "greater than 0",
    ),
    "not a number": (lambda v: v["inputs"][0]["encoding"].update(scale=float("nan")), "not JSON"),
    "nesting without end": (lambda _: None, "not JSON"),
    "a hundred thousand files": (
        lambda v: v.update(files=v["files"] * 2000),
        "at most",
    ),
}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def places(value: object) -> list[tuple[Any, Any]]:
    """Every place in a JSON value, as a container and a key."""
    items = value.items() if isinstance(value, dict) else enumerate(value)  # type: ignore[arg-type]
    found = []
    for key, inner in items:
        found.append((value, key))
        if isinstance(inner, dict | list):
            found += places(inner)
    return found


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_stands_anywhere_in_a_manifest_it_opens_or_is_refused(
    data: st.DataObject, made: tuple[Built, Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    value = json.loads((made[1] / "manifest.json").read_text())
    for _ in range(data.draw(st.integers(1, 2))):
        container, key = data.draw(st.sampled_from(places(value)))
        container[key] = data.draw(JSON)
    value["checksum"] = checksum_of(value)
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "manifest.json").write_text(json.dumps(value))
    try:
        boundary = boundary_of(read_manifest(folder))
    except StorageError:
        return
    boundary.describe()
    assert Boundary.from_json(json.loads(json.dumps(boundary.to_json()))) == boundary


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_manifest_is_refused_with(case: str, copy: Path) -> None:
    change, message = MANIFESTS[case]
    edit_manifest(copy, change)
    if case == "nesting without end":
        (copy / "manifest.json").write_text('{"a":' + "[" * 10**6)
    assert message in refused(copy)


def test_a_manifest_that_is_huge_missing_or_no_text_is_refused(copy: Path) -> None:
    manifest = copy / "manifest.json"
    manifest.write_bytes(b" " * (17 << 20))
    assert "bytes" in refused(copy)
    manifest.write_bytes(b"\xff\xfe\x00")
    assert "not JSON" in refused(copy)
    manifest.unlink()
    assert "not a bundle" in refused(copy)
    assert "no such folder" in refused(copy / "nowhere")


def test_one_changed_byte_in_any_file_is_noticed(copy: Path) -> None:
    for path in sorted(copy.rglob("*")):
        if path.is_file() and path.name != "manifest.json":
            data = path.read_bytes()
            path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
            assert str(path.relative_to(copy)) in refused(copy)
            path.write_bytes(data + b"x")
            assert "bytes" in refused(copy)
            path.write_bytes(data)
    Bundle.open(copy)


def test_links_are_refused_wherever_they_point(copy: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.onnx"
    shutil.move(copy / "model.onnx", outside)
    (copy / "model.onnx").symlink_to(outside)
    assert "A link stands" in refused(copy)
    (copy / "model.onnx").unlink()
    shutil.move(outside, copy / "model.onnx")
    shutil.move(copy / "golden", tmp_path / "golden")
    (copy / "golden").symlink_to(tmp_path / "golden")
    assert "A link stands" in refused(copy)


def model_with_external(location: str, *, in_attribute: bool = False) -> bytes:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    nodes = [helper.make_node("Identity", ["w"], ["y"])]
    if in_attribute:
        nodes.insert(0, helper.make_node("Constant", [], ["w"], value=tensor))
    output = helper.make_tensor_value_info("y", 1, [4])
    graph = helper.make_graph(nodes, "g", [], [output], [] if in_attribute else [tensor])
    return bytes(helper.make_model(graph).SerializeToString())


@pytest.mark.parametrize("in_attribute", [False, True])
@pytest.mark.parametrize("location", ["/etc/passwd", "../../secret", "weights.bin", "a\x1b[2Jb"])
def test_a_model_that_names_files_outside_the_bundle_is_refused(
    location: str, in_attribute: bool, copy: Path
) -> None:
    (copy / "model.onnx").write_bytes(model_with_external(location, in_attribute=in_attribute))
    relist(copy, "model.onnx")
    assert "not part of the bundle" in refused(copy)


def test_a_compiled_model_that_names_another_binary_is_refused(copy: Path) -> None:
    name = "devices/qcs9075/model_ctx.onnx"
    model = onnx.load(str(copy / name), load_external_data=False)
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "ep_cache_context":
            attribute.s = b"../../../evil.bin"
    (copy / name).write_bytes(model.SerializeToString())
    relist(copy, name)
    assert "not part of the bundle" in refused(copy)


def test_a_file_that_is_no_model_is_refused(copy: Path) -> None:
    (copy / "model.onnx").write_bytes(b"MZ\x90\x00 not a model")
    relist(copy, "model.onnx")
    assert "not an ONNX model" in refused(copy)


def member(data: bytes) -> bytes:
    """An `.npz` with these bytes in the place of the array `image`."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("image.npy", data)
    return file.getvalue()


def header(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    values = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, values)
    return file.getvalue()


GOLDEN = {
    "no zip": b"PK nothing",
    "no array": member(b"text in the place of an array"),
    "a million million numbers": member(header((1000, 1000, 1000, 1000))),
    "a header alone": member(header((1, 8, 8, 3))),
}


@pytest.mark.parametrize("kind", ["pickle", "shape", *GOLDEN])
def test_golden_data_of_another_kind_are_refused(kind: str, copy: Path) -> None:
    path = copy / "golden" / "inputs" / "0000.npz"
    if kind == "pickle":
        np.savez(path, image=np.array([{"run": "me"}], dtype=object))
    elif kind == "shape":
        write_arrays(path, {"image": np.zeros((1, 2, 2, 3), np.uint8)})
    else:
        path.write_bytes(GOLDEN[kind])
    relist(copy, "golden/inputs/0000.npz")
    bundle = Bundle.open(copy)
    with pytest.raises(StorageError, match="golden sample"):
        list(bundle.golden_feeds())


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value["outputs"][0].update(name="other"),
        lambda value: value.update(random_inputs=not value["random_inputs"]),
        lambda value: value["devices"][0]["options"].update(soc_model="1"),
        lambda value: value.update(checksum="0" * 64),
    ],
)
def test_a_manifest_that_was_edited_by_hand_is_noticed(
    change: Callable[[Value], object], copy: Path
) -> None:
    path = copy / "manifest.json"
    value = json.loads(path.read_text())
    path.write_text(json.dumps(value))
    Bundle.open(copy)  # another layout of the same is not another manifest
    change(value)
    path.write_text(json.dumps(value))
    assert "changed after the bundle was written" in refused(copy)


def test_a_manifest_of_a_former_version_that_says_targets_is_read(copy: Path) -> None:
    path = copy / "manifest.json"
    value = json.loads(path.read_text())
    value.update(targets=value.pop("devices"))
    del value["checksum"]
    path.write_text(json.dumps(value))
    assert Bundle.open(copy).device("qcs9075").device == "qcs9075"


def test_files_that_the_manifest_does_not_list_are_not_the_bundles(copy: Path) -> None:
    (copy / "extra.sh").write_text("rm -rf /")
    assert copy / "extra.sh" not in Bundle.open(copy).files


def test_a_device_that_is_not_there_is_named_with_the_nearest(copy: Path) -> None:
    with pytest.raises(StorageError, match=r"not compiled for qcs9070.*Did you mean qcs9075"):
        Bundle.open(copy).device("qcs9070")
