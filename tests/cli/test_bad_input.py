"""Every wrong input ends in one clear error and exit code 2, and leaves nothing half-written.

A row a fault: what is broken, and words that the message must have (what, where or hint).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from typer.testing import CliRunner

from snapq.cli.app import app


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


def edit(project: Path, old: str, new: str) -> None:
    path = project / "deploy.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def write(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda project: (project / name).write_bytes(data) and None


def truncate_model(project: Path) -> None:
    path = project / "tiny.onnx"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def nan_weights(project: Path) -> None:
    model = onnx.load(project / "tiny.onnx")
    weights = numpy_helper.to_array(model.graph.initializer[0]).copy()
    weights[0, 0, 0, 0] = np.nan
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "w1"))
    onnx.save(model, project / "tiny.onnx")


def array_data(array: np.ndarray) -> Callable[[Path], None]:
    def break_it(project: Path) -> None:
        np.save(project / "samples.npy", array)
        text = (project / "deploy.yaml").read_text()
        start, end = text.index("data:"), text.index("metric:")
        data = "data:\n  calibration: {arrays: samples.npy}\n"
        text = text[:start] + data + text[end:].replace("metric: top1\n", "")
        (project / "deploy.yaml").write_text(text.replace("max_accuracy_drop: 0.5, ", ""))

    return break_it


def nan_array() -> np.ndarray:
    array = np.zeros((2, 3, 32, 32), np.float32)
    array[1, 0, 0, 0] = np.nan
    return array


FAULTS: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "missing model": (lambda p: (p / "tiny.onnx").unlink(), ("tiny.onnx",)),
    "empty model": (write("tiny.onnx", b""), ("tiny.onnx",)),
    "corrupt model": (write("tiny.onnx", b"\x08\x08garbage" * 50), ("tiny.onnx",)),
    "not ONNX": (write("tiny.onnx", b"PK\x03\x04 a zip file"), ("tiny.onnx",)),
    "truncated model": (truncate_model, ("tiny.onnx",)),
    "NaN in weights": (nan_weights, ("w1", "NaN")),
    "unknown key": (lambda p: edit(p, "metric:", "metrik:"), ("metrik", "metric", "deploy.yaml:")),
    "wrong type": (lambda p: edit(p, "devices: [qcs9075, sm8650]", "devices: 7"), ("devices",)),
    "dynamic dimension": (
        lambda p: edit(p, "  inputs: {image: [1, 3, 32, 32]}\n", ""),
        ("N", "image"),
    ),
    "unknown input": (lambda p: edit(p, "{image: [1", "{imaje: [1"), ("imaje", "image")),
    "wrong rank": (lambda p: edit(p, "[1, 3, 32, 32]", "[3, 32, 32]"), ("image",)),
    "impossible shape": (lambda p: edit(p, "[1, 3, 32, 32]", "[1, 5, 32, 32]"), ()),
    "no images": (
        lambda p: [path.unlink() for path in (p / "pictures").iterdir()],
        ("pictures",),
    ),
    "unreadable image": (write("pictures/3.png", b"not a picture"), ("3.png",)),
    "images of another size": (lambda p: edit(p, "[1, 3, 32, 32]", "[1, 3, 48, 48]"), ("48",)),
    "labels of a missing file": (
        lambda p: (p / "labels.csv").write_text("file,label\nghost.png,1\n"),
        ("ghost.png",),
    ),
    "labels out of range": (
        lambda p: (p / "labels.csv").write_text(
            (p / "labels.csv").read_text().replace("7.png,3", "7.png,99")
        ),
        ("99",),
    ),
    "NaN in calibration data": (array_data(nan_array()), ("samples.npy",)),
    "calibration data of another shape": (
        array_data(np.zeros((2, 3, 8, 8), np.float32)),
        ("samples.npy",),
    ),
    "unknown device": (lambda p: edit(p, "sm8650]", "sm8651]"), ("sm8651", "sm8650")),
    "unknown stage": (
        lambda p: edit(p, "- quantize: {}", "- quantise: {}"),
        ("quantise", "quantize"),
    ),
    "unknown precision": (
        lambda p: edit(p, "quantize: {}", "quantize: {weights: int7}"),
        ("int7",),
    ),
    "no fp16 on the device": (
        lambda p: (
            edit(p, "  - quantize: {}\n", ""),
            edit(p, "[qcs9075, sm8650]", "[qcs6490]"),
        ),
        ("qcs6490", "fp16"),
    ),
    "missing YAML": (lambda p: (p / "deploy.yaml").unlink(), ("deploy.yaml",)),
}


@pytest.mark.npu
@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_input_is_one_clear_error(project: Path, fault: str) -> None:
    break_it, words = FAULTS[fault]
    break_it(project)
    code, output = invoke("run", str(project / "deploy.yaml"), "--runs", str(project / "runs"))
    assert code == 2, output
    assert "Traceback" not in output
    assert "internal error" not in output
    assert output.count("error:") >= 1
    for word in words:
        assert word in output
    left = [p for p in (project / "runs").rglob("*") if ".cache" not in p.parts and p.is_file()]
    assert {path.name for path in left} <= {"log.txt", "error.json"}


def test_an_error_is_json_where_json_is_asked_for(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["run", str(project / "ghost.yaml"), "--json"]
    monkeypatch.setattr("sys.argv", ["snapq", *arguments])
    code, output = invoke(*arguments)
    assert code == 2
    error = json.loads(output)["error"]
    assert error["kind"] == "ConfigError"
    assert error["hint"]
    assert error["mend"] == error["hint"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("estimate", "tiny.onnx", "--device", "sm9999"), "sm9999"),
        (("estimate", "ghost.onnx", "--device", "sm8650"), "ghost.onnx"),
        (("estimate", "tiny.onnx", "--device", "sm8650"), "N"),
        (("estimate", "tiny.onnx", "--device", "sm8650", "--input", "image"), "NAME=1,3,224,224"),
        (("estimate", "tiny.onnx", "--device", "sm8650", "--input", "image=²"), "NAME=1,3"),
        (("inspect", "tiny.onnx", "--device", "sm8650", "--input", "image=9999999999"), "NAME=1,3"),
        (("quantize", "tiny.onnx", "-o", "out.onnx"), "--random-inputs"),
        (("quantize", "tiny.onnx", "-o", "o.onnx", "--random-inputs", "--samples", "0"), "samples"),
        (("quantize", "tiny.onnx", "-o", "tiny.onnx", "--random-inputs"), "--force"),
        (("quantize", "tiny.onnx", "-o", "-", "--random-inputs"), "Name a file"),
        (("prune", "tiny.onnx", "-o", "-", "--ratio", "0.5"), "Name a file"),
        (("init", "tiny.onnx", "-o", "-"), "Name a file"),
        (("devices", "nothing-like-it"), "snapq devices"),
        (("devices", "list", "sm8650"), "snapq devices sm8650"),
        (("report", "ghost"), "ghost"),
        (("init", "ghost.onnx"), "ghost.onnx"),
        (
            ("simulate", "tiny.onnx", "--device", "sm8650", "--inputs", "g.npz", "-o", "o.npz"),
            "g.npz",
        ),
    ],
)
def test_commands_on_one_model_say_what_is_wrong(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    word: str,
) -> None:
    monkeypatch.chdir(project)
    before = sorted(path.name for path in project.iterdir())
    code, output = invoke(*arguments)
    assert code == 2, output
    assert word in output
    assert sorted(path.name for path in project.iterdir()) == before


@pytest.mark.parametrize(
    "command",
    [
        ("estimate", "m.onnx", "--device", "sm8650", "--device=qcs9075"),
        ("run", "deploy.yaml", "--target", "local", "--target", "qemu"),
        ("search", "deploy.yaml", "--trials", "3", "--trials", "4"),
    ],
)
def test_a_second_value_where_one_is_taken_is_refused(command: tuple[str, ...]) -> None:
    code, output = invoke(*command)
    assert code == 2
    assert "is given 2 times" in output
