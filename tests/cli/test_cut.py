"""What cannot run on the NPU is grouped by reason, and the command line proposes and makes cuts."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

import snapq
from snapq.api.placements import OffNpu, PrecisionPlacement
from snapq.cli.app import app
from snapq.cli.output.off_npu import off_npu_rows
from tests.graph.cutting.detectors import CUT, detector


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A detector with its suppression inside."""
    onnx.save(detector(), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def invoke(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_nodes_with_one_reason_are_one_row_that_names_the_first() -> None:
    nodes = tuple(
        OffNpu(f"n{i}", "Gather", f"the shape [1, k{i}] of 'v{i}' depends on the data", "Cut.")
        for i in range(5000)
    )
    other = OffNpu("m", "NonZero", "the size of its output depends on the data")
    rows = list(off_npu_rows(PrecisionPlacement("fp16", 0, 5001, 0, (*nodes, other))))
    assert rows == [
        (
            "5,000",
            "5,000 Gather",
            "the shape [1, k0] of 'v0' depends on the data (n0, n1, n2, …)",
            "Cut.",
        ),
        ("1", "NonZero", "the size of its output depends on the data (m)", ""),
    ]


@pytest.mark.npu
@pytest.mark.slow
def test_inspect_proposes_a_cut_in_front_of_which_all_runs_on_the_npu(model: Path) -> None:
    found = snapq.inspect(model, "qcs9075")
    assert found.cut is not None
    assert set(found.cut.outputs) == set(CUT)
    assert found.cut.macs > 0.99
    assert {p.precision: p.cpu for p in found.cut.placements} == {
        "fp16": 0,
        "w8a8": 0,
        "w8a16": 0,
    }
    whole = snapq.inspect(model, "qcs9075", outputs=found.cut.outputs)
    assert whole.cut is None


@pytest.mark.npu
@pytest.mark.slow
def test_init_writes_the_cut_into_a_yaml_that_loads(model: Path) -> None:
    target = model.with_name("deploy.yaml")
    invoke("init", model, "--device", "qcs9075", "--cut", "-o", target)
    assert set(snapq.load(target).model.outputs) == set(CUT)


def test_quantize_leaves_the_tail_beside_the_model(model: Path) -> None:
    target = model.with_name("small.onnx")
    cuts = [part for name in CUT for part in ("--cut-at", name)]
    said = invoke("quantize", model, *cuts, "-o", target, "--random-inputs", "--preset", "fast")
    assert "small.tail.onnx" in said
    assert [value.name for value in onnx.load(target).graph.output] == list(CUT)
    tail = onnx.load(model.with_name("small.tail.onnx"))
    assert [value.name for value in tail.graph.output] == ["boxes", "scores", "labels"]
