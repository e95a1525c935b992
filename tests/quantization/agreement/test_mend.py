"""Nodes that the NPU computes wrongly are found, and written so that it does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snapq.api.simulation import simulate_file
from snapq.devices.profiles import find
from snapq.graph import io
from snapq.quantization.agreement.locate import Bench, on_cpu
from snapq.quantization.agreement.mend import mend
from snapq.quantization.agreement.parts import Parts
from tests.quantization.agreement import models

pytestmark = pytest.mark.npu

DEVICE = find("qcs9075")


@pytest.mark.slow
def test_a_gate_behind_a_16_bit_convolution_is_found_and_mended() -> None:
    model, feeds = models.gated()
    found = mend(model, Bench(DEVICE, feeds), None)
    assert found.left is None
    assert not found.faults
    (change,) = found.changes
    assert change.located.region == ("second", "gate", "product")
    assert change.before_db < 10 < 60 < change.after_db
    assert found.findings[0].agreement_db > 60
    (cpu,) = on_cpu(found.model, feeds[:1])
    (truth,) = on_cpu(model, feeds[:1])
    np.testing.assert_allclose(cpu["product_held"], truth["product_held"], atol=0.01)


def test_nothing_is_searched_where_the_npu_is_right() -> None:
    model, feeds = models.gated(16)
    said: list[str] = []
    found = mend(model, Bench(DEVICE, feeds), None, say=said.append)
    assert (found.changes, found.left, said) == ((), None, [])
    assert found.model is model


@pytest.mark.parametrize(
    ("nodes", "constants", "text"),
    [
        (
            [("Tanh", ["x"], "t"), ("Add", ["t", "c"], "a"), ("Mul", ["a", "s"], "y")],
            {"c": np.linspace(-1, 1, 8, dtype=np.float32), "s": np.array(3, np.float32)},
            "constant first",
        ),
        (
            [("Mul", ["x", "s"], "large"), ("Softplus", ["large"], "y")],
            {"s": np.array(60, np.float32)},
            "max(x, 0) + log",
        ),
    ],
)
def test_operators_that_16_bit_floating_point_has_wrong_get_another_form(
    nodes: list[tuple[str, list[str], str]], constants: dict[str, np.ndarray], text: str
) -> None:
    model, feeds = models.float_net(nodes, (1, 4, 6, 8), (1, 4, 6, 8), constants)
    found = mend(model, Bench(DEVICE, feeds), None, float16=True)
    assert [text in str(change) for change in found.changes] == [True]
    assert found.findings[0].agreement_db > 50


def test_a_node_that_no_form_helps_is_named() -> None:
    model, feeds = models.overflowing_norm()
    found = mend(model, Bench(DEVICE, feeds), None, float16=True)
    assert found.changes == ()
    assert found.left is not None
    assert (found.left.node, found.left.op_type, found.left.alone) == ("squares", "Mul", True)
    assert [fault.output for fault in found.faults] == ["y"]


def test_a_part_takes_and_gives_what_the_whole_model_holds() -> None:
    model, feeds = models.gated()
    parts = Parts(model)
    assert [node.name for node in parts.nodes] == ["first", "bent", "second", "gate", "product"]
    part = parts.alone(3, 4)
    assert (part.inputs, part.sources) == (("second",), ("second_held",))
    assert part.outputs == ("product_held",)
    prefix = parts.up_to(3).of(model)
    assert [value.name for value in prefix.graph.outputs] == ["second_held", "gate_held"]
    (values,) = on_cpu(prefix, feeds[:1])
    (alone,) = on_cpu(part.of(model), [{"second": values["second_held"]}])
    (whole,) = on_cpu(model, feeds[:1])
    np.testing.assert_array_equal(alone["product_held"], whole["product_held"])


def test_simulating_a_model_tells_what_the_npu_has_wrong(tmp_path: Path) -> None:
    model, feeds = models.gated()
    io.save(model, tmp_path / "model.onnx")
    np.savez(tmp_path / "in.npz", x=np.stack([feed["x"] for feed in feeds]))
    count, _, notes = simulate_file(
        tmp_path / "model.onnx", "qcs9075", tmp_path / "in.npz", tmp_path / "out.npz"
    )
    assert count == 2
    (note,) = notes
    assert "node 'product' (Mul) (with second, gate)" in note
