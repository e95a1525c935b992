"""Head, session and tail of a classical model as the agent runs them, without a board."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from snapq.boards.onboard.agent.rows import RowsModel
from snapq.boards.onboard.agent.wire import FailedError
from snapq.bundle import snapq_io
from snapq.bundle.write import write_arrays
from snapq.classical import program
from snapq.classical.program import Answers, Program, Step
from snapq.cpu import CpuModel

ROWS = 4
SCALER = Step(
    *("Scaler", ("x",), ("scaled",)),
    arrays={"offset": np.ones(2, np.float32), "scale": np.full(2, 0.5, np.float32)},
)
ARG_MAX = Step("ArgMax", ("sums",), ("label",), {"axis": 1, "keepdims": 0})
SCORES = Step("Identity", ("sums",), ("scores",))


@pytest.fixture(autouse=True)
def beside_the_helper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "snapq_program", program)


def network() -> CpuModel:
    """The part for the NPU: [4, 2] to [4, 2], the columns swapped."""
    float2 = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, [ROWS, 2]) for n in ("scaled", "sums")
    ]
    swap = helper.make_tensor("swap", TensorProto.FLOAT, [2, 2], [0, 1, 1, 0])
    node = helper.make_node("MatMul", ["scaled", "swap"], ["sums"])
    graph = helper.make_graph([node], "part", float2[:1], float2[1:], [swap])
    opsets = [helper.make_opsetid("", 17)]
    made: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return CpuModel(made.SerializeToString())


def package(folder: Path, tail: tuple[Step, ...] = (ARG_MAX, SCORES)) -> RowsModel:
    """The whole of it, with another tail where one is given."""
    head = Program(("x",), ("scaled",), (SCALER,))
    host: dict[str, Any] = {
        "rows": ROWS,
        "inputs": [{"name": "x", "dtype": "float32", "columns": 2}],
        "arrays": "host.npz",
    }
    arrays = {}
    for name, part in (("head", head), ("tail", Program(("sums",), ("label", "scores"), tail))):
        host[name], own = part.to_json()
        arrays.update(own)
    write_arrays(folder / "host.npz", arrays)
    tensor = {"dtype": "float32", "shape": [ROWS, 2], "encoding": None, "permutation": None}
    tensor |= {"image": None, "folded": False, "raw": False}
    manifest = {
        "inputs": [{"name": "scaled", **tensor}],
        "outputs": [{"name": "sums", **tensor}],
        "host": host,
    }
    return RowsModel(network().run, snapq_io.Package(folder, manifest))


def rows() -> Mapping[str, np.ndarray]:
    return {"x": np.array([[1, 2], [4, 3], [0, 9], [8, 7]], np.float32)}


def golden(folder: Path) -> Path:
    """The rows, with the answers that the parts give by their definition."""
    scores = (rows()["x"] - 1)[:, ::-1] * np.float32(0.5)
    path = folder / "0000.npz"
    write_arrays(path, {"in.x": rows()["x"], "out.label": scores.argmax(1), "out.scores": scores})
    return path


def test_rows_go_through_head_session_and_tail(tmp_path: Path) -> None:
    answers = Answers()
    package(tmp_path).compare(golden(tmp_path), answers)
    labels, scores = answers.outputs["label"], answers.outputs["scores"]
    assert (labels.labels, labels.equal, labels.rows) == (True, ROWS, ROWS)
    assert (scores.labels, scores.largest) == (False, 0.0)


def test_wrong_labels_and_values_are_counted(tmp_path: Path) -> None:
    answers = Answers()
    other = (Step("ArgMin", *(("sums",), ("label",)), ARG_MAX.attributes), ARG_MAX)
    neg = Step("Neg", ("sums",), ("scores",))
    package(tmp_path, (other[0], neg)).compare(golden(tmp_path), answers)
    said = dict(answers.plain())
    assert said["label"]["equal"] + said["label"]["ties"] == 0
    assert said["scores"]["largest"] == 8.0  # of 4 and -4
    assert said["scores"]["mean"] > 1


def test_a_value_that_is_none_is_far_off_and_can_be_told_as_json(tmp_path: Path) -> None:
    answers = Answers()
    log = Step("Log", ("sums",), ("scores",))  # of -0.5
    package(tmp_path, (ARG_MAX, log)).compare(golden(tmp_path), answers)
    assert dict(answers.plain())["scores"]["largest"] == sys.float_info.max


def test_times_of_head_and_tail_are_parts_of_the_whole(tmp_path: Path) -> None:
    times = package(tmp_path).turn(rows(), runs=3, settle=1)
    assert {len(one) for one in times.values()} == {3}
    for whole, head, tail in zip(*times.values(), strict=True):
        assert 0 < head + tail < whole


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Step("ArgMax", ("sums",), ("label",), {"axis": 7}), "tail of the model cannot.*AxisError"),
        (Step("tomorrow", ("sums",), ("label",)), "'tomorrow' is not known"),
        (Step("Reshape", ("sums", "sums"), ("label",)), "tail of the model cannot be computed"),
    ],
)
def test_what_cannot_be_computed_is_one_sentence(step: Step, said: str, tmp_path: Path) -> None:
    with pytest.raises(FailedError, match=said):
        package(tmp_path, (step, SCORES)).answer(rows())


def test_answers_of_another_shape_are_refused(tmp_path: Path) -> None:
    half = Step("Identity", ("label",), ("scores",))
    with pytest.raises(FailedError, match="answer scores to the golden rows has another shape"):
        package(tmp_path, (ARG_MAX, half)).compare(golden(tmp_path), Answers())


def test_a_model_that_takes_rows_itself_has_no_parts(tmp_path: Path) -> None:
    model = RowsModel(network().run, None)
    found = model.answer({"scaled": rows()["x"]})
    np.testing.assert_array_equal(found["sums"], rows()["x"][:, ::-1])
