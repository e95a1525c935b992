"""What the lower stage divides: head, tail, and what goes onto the NPU between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from snapq.classical.division import program, programs
from snapq.classical.model import ClassicalModel
from snapq.classical.on_npu import npu_estimators, side_by_side
from snapq.classical.program import Step
from snapq.classical.program.answers import Answers
from snapq.cpu import CpuModel
from snapq.graph import io
from tests.classical.tables import forest, machine, rows


def both() -> onnx.ModelProto:
    """A forest and a machine side by side, of one input."""
    trees, vectors = forest(), machine()
    for node in vectors.graph.node:
        node.output[:] = [f"m_{name}" for name in node.output]
        node.input[:] = [name if name == "x" else f"m_{name}" for name in node.input]
        trees.graph.node.append(node)
    for value in vectors.graph.output:
        value.name = f"m_{value.name}"
        trees.graph.output.append(value)
    return trees


def test_of_trees_and_a_machine_the_trees_go_and_the_machine_is_in_the_tail(
    tmp_path: Path,
) -> None:
    onnx.save(both(), tmp_path / "model.onnx")
    model = ClassicalModel.read(io.load(tmp_path / "model.onnx"))
    chosen, left = npu_estimators(model)
    assert [type(one.form).__name__ for one in chosen] == ["Ensemble"]
    assert [type(one.form).__name__ for one in left] == ["SupportVectors"]


def test_head_and_tail_give_the_models_answers_around_its_own_sums(tmp_path: Path) -> None:
    """The part on the NPU is played by the estimator's own sums in float64."""
    from snapq.classical.lowered import Lowered

    for model in (forest(), machine(), both()):
        onnx.save(model, tmp_path / "model.onnx")
        read = ClassicalModel.read(io.load(tmp_path / "model.onnx"))
        chosen, _ = npu_estimators(read)
        (one,) = chosen
        played = Lowered(
            io.load(tmp_path / "model.onnx"),
            ("part_in",),
            ("part_out",),
            (Step("Identity", (one.rows,), ("part_in",)),),
            (Step("Identity", ("part_out",), (one.sums,)),),
            True,
            "",
        )
        head, tail = programs(read, chosen, played)
        given = {"x": rows(50)}
        encoded = head.run(given)
        found = tail.run({**given, "part_out": one.form.sums(encoded["part_in"])})
        wanted = CpuModel(tmp_path / "model.onnx").run(given)
        answers = Answers()
        answers.update(wanted, found, 50)
        for name, item in answers.outputs.items():
            assert item.equal + item.ties == 50 if item.labels else item.largest < 1e-4, name


def test_a_program_has_the_steps_that_its_outputs_need_in_an_order_that_works() -> None:
    steps = (
        Step("Add", ("b", "a"), ("c",)),
        Step("Neg", ("a",), ("b",)),
        Step("Neg", ("c",), ("unused",)),
    )
    made = program(steps, ("a", "other"), ("c",))
    assert [step.outputs for step in made.steps] == [("b",), ("c",)]
    assert made.inputs == ("a",)
    np.testing.assert_array_equal(made.run({"a": np.array([2.0])})["c"], [0])


def test_several_machines_become_one_model_with_an_output_each(tmp_path: Path) -> None:
    from snapq.classical.lowering import lower

    onnx.save(machine(), tmp_path / "a.onnx")
    onnx.save(machine(seed=5), tmp_path / "b.onnx")
    parts = []
    for number, name in enumerate("ab"):
        (one,) = ClassicalModel.read(io.load(tmp_path / f"{name}.onnx")).estimators
        part = lower(one, 8)
        for value in (*part.model.graph.inputs, *part.model.graph.outputs):
            value.name = f"{value.name}_{number}"
        parts.append(
            type(part)(
                part.model,
                tuple(str(value.name) for value in part.model.graph.inputs),
                tuple(str(value.name) for value in part.model.graph.outputs),
                part.encode,
                part.decode,
                part.exact,
                part.note,
            )
        )
    joined = side_by_side(parts)
    rng = np.random.default_rng(0)
    feeds = {
        str(value.name): rng.normal(size=value.shape.numpy()).astype(np.float32)
        for value in joined.model.graph.inputs
    }
    found = CpuModel(joined.model).run(feeds)
    for part in parts:
        alone = CpuModel(part.model).run({name: feeds[name] for name in part.inputs})
        for name, value in alone.items():
            np.testing.assert_array_equal(found[name], value)
