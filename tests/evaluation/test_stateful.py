"""Models with state: it goes round in calibration, and the simulated package feeds on its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import snapq
from snapq.config import DataSource
from snapq.cpu import CpuModel
from snapq.errors import ConfigError
from snapq.evaluation.datasets import Dataset, open_dataset
from snapq.evaluation.stateful import in_sequence, open_stateful
from snapq.graph import io

STEPS = 12


def running_mean() -> onnx.ModelProto:
    """`next = tanh(0.6 memory + x W)`, `y = next V`, with a table looked up by an integer input."""
    rng = np.random.default_rng(2)
    constants = [
        numpy_helper.from_array(np.float32(0.6), "keep"),
        numpy_helper.from_array(rng.normal(0, 0.5, (8, 16)).astype(np.float32), "W"),
        numpy_helper.from_array(rng.normal(0, 0.5, (16, 4)).astype(np.float32), "V"),
        numpy_helper.from_array(rng.normal(0, 0.3, (3, 16)).astype(np.float32), "table"),
    ]
    nodes = [
        helper.make_node("Mul", ["memory", "keep"], ["kept"], "keep"),
        helper.make_node("MatMul", ["x", "W"], ["seen"], "see"),
        helper.make_node("Gather", ["table", "speaker"], ["looked_up"], "look_up"),
        helper.make_node("Add", ["kept", "seen"], ["sum"], "add"),
        helper.make_node("Add", ["sum", "looked_up"], ["all"], "add_speaker"),
        helper.make_node("Tanh", ["all"], ["next"], "squash"),
        helper.make_node("MatMul", ["next", "V"], ["y"], "answer"),
    ]
    graph = helper.make_graph(
        nodes,
        "memory",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8]),
            helper.make_tensor_value_info("speaker", TensorProto.INT32, [1]),
            helper.make_tensor_value_info("memory", TensorProto.FLOAT, [1, 16]),
        ],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4]),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [1, 16]),
        ],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


FUNCTIONS = """\
import numpy as np

def steps():
    rng = np.random.default_rng(4)
    for index in range(12):
        feeds = {"x": rng.normal(size=(1, 8)).astype(np.float32), "speaker": np.int32([index % 3])}
        yield feeds, {"y": index % 4, "next": np.zeros((1, 16))}

def energy(outputs, label):
    assert set(outputs) == {"next"} and label.shape == (1, 16)
    return float(np.square(outputs["next"]).mean())
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    onnx.save(running_mean(), tmp_path / "memory.onnx")
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    (tmp_path / "deploy.yaml").write_text(
        "name: memory\nmodel: {path: memory.onnx}\ndevices: [qcs9075]\n"
        'data:\n  calibration: &steps {python: "mine:steps", state: {next: memory}}\n'
        "  evaluation: *steps\n"
        'metric: {y: top1, next: "mine:energy"}\n'
        "stages:\n  - quantize: {activations: uint16, never_slower: false}\n"
        "  - package: {golden_samples: 2, optimization_modes: [3]}\n"
        "gates: {max_accuracy_drop: 0.5, npu_nodes: all}\n"
    )
    return tmp_path


def opened(project: Path, **options: object) -> Dataset:
    source = DataSource.model_validate(
        {"python": "mine:steps", "state": {"next": "memory"}, **options}
    )
    model = io.load(project / "memory.onnx")
    return open_stateful(
        source,
        model,
        "data.calibration",
        lambda inner, inputs: open_dataset(inner, inputs, base=project),
    )


def test_each_step_takes_the_state_that_the_float_model_gave_before(project: Path) -> None:
    session = CpuModel(project / "memory.onnx").session
    memory = np.zeros((1, 16), np.float32)
    for sample in opened(project):
        assert np.array_equal(sample.feeds["memory"], memory)
        memory = session.run(["next"], dict(sample.feeds))[0]


def test_a_sequence_of_some_steps_starts_at_zero_again(project: Path) -> None:
    data = opened(project, steps=5, samples=11)
    firsts = [sample.first for sample in data]
    assert firsts == [index % 5 == 0 for index in range(11)]
    assert all(not s.feeds["memory"].any() for s in data if s.first)
    assert data.fingerprint() != opened(project, steps=6, samples=11).fingerprint()


def test_a_model_is_judged_on_its_own_state(project: Path) -> None:
    session = CpuModel(project / "memory.onnx").session

    def shifted(sample: object) -> dict[str, np.ndarray]:
        y, following = session.run(["y", "next"], dict(sample.feeds))  # type: ignore[attr-defined]
        seen.append(sample.feeds["memory"])  # type: ignore[attr-defined]
        return {"y": y, "next": following + 1}

    seen: list[np.ndarray] = []
    data = opened(project, steps=6)
    given = [outputs["next"] for outputs in in_sequence(data, data.state, shifted)]
    for index in range(1, STEPS):
        assert np.array_equal(seen[index], np.zeros((1, 16)) if index == 6 else given[index - 1])


@pytest.mark.npu
@pytest.mark.slow
def test_a_stateful_model_is_deployed_with_a_metric_for_each_output(project: Path) -> None:
    done = snapq.run(project / "deploy.yaml", runs=project / "runs")
    assert done.passed
    found = {(r.label, r.metric): r.samples for r in done.record.accuracy}
    assert found == {
        (label, metric): STEPS
        for label in ("float", "w8a16")
        for metric in ("top1 of y", "mine:energy of next")
    }
    assert min(record.sqnr_db for record in done.record.fidelity) > 25


@pytest.mark.parametrize(
    ("state", "hint"),
    [
        ({"nxt": "memory"}, "'next'"),
        ({"next": "memori"}, "'memory'"),
        ({"y": "memory"}, "next step's state"),
    ],
)
def test_state_that_does_not_fit_is_refused(
    project: Path, state: dict[str, str], hint: str
) -> None:
    with pytest.raises(ConfigError) as error:
        opened(project, state=state)
    assert error.value.where == "data.calibration.state"
    assert hint in str(error.value)


def test_a_metric_of_an_unknown_output_is_refused(project: Path) -> None:
    with pytest.raises(ConfigError, match="no output 'z'"):
        snapq.run(snapq.load(project / "deploy.yaml", ["metric={z: top1}"]), runs=project / "runs")
