"""The prune stage in whole runs, before and after quantize."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import yaml

from snapq import api
from snapq.cli.main import main
from snapq.errors import ConfigError
from snapq.report.html import render_html
from tests.pipeline.conftest import project  # noqa: F401

pytestmark = pytest.mark.slow


def pruned_run(folder: Path, *stages: dict, **changes: object) -> api.Run:
    path = folder / "deploy.yaml"
    config = yaml.safe_load(path.read_text())
    config |= {"stages": list(stages), "devices": ["qcs9075"], "gates": {}, **changes}
    path.write_text(yaml.safe_dump(config))
    return api.run(path, runs=folder / "runs")


def weight_shapes(model: Path) -> dict[str, list[int]]:
    return {item.name: list(item.dims) for item in onnx.load(model).graph.initializer}


@pytest.mark.npu
def test_a_pruned_model_is_smaller_and_every_step_is_shown(project: Path) -> None:  # noqa: F811
    run = pruned_run(
        project, {"prune": {"ratio": 0.3, "step": 8}}, {"quantize": {}}, {"package": {}}
    )
    steps = {step.label: step for step in run.record.steps}
    assert list(steps) == ["prepare", "cut", "repair", "quantize"]
    assert steps["cut"].macs <= 0.7 * steps["prepare"].macs
    assert steps["cut"].weight_bytes < steps["prepare"].weight_bytes
    assert steps["repair"].sqnr_db > steps["cut"].sqnr_db
    assert steps["cut"].estimate.cycles <= steps["prepare"].estimate.cycles
    assert weight_shapes(run.folder / "stages" / "02-prune" / "model.onnx")["w1"][0] < 32
    page = render_html(run.record)
    assert 'id="steps"' in page
    assert "32 to" in page


@pytest.mark.npu
def test_a_quantized_model_is_cut_in_its_integers(project: Path) -> None:  # noqa: F811
    run = pruned_run(
        project,
        {"quantize": {}},
        {"prune": {"ratio": 0.3, "step": 8, "importance": "magnitude"}},
        {"package": {"golden_samples": 1}},
    )
    assert run.record.stages[-1].details["npu_nodes"]["qcs9075"] > 0
    shapes = weight_shapes(run.folder / "stages" / "03-prune" / "model.onnx")
    channels = shapes["w1_quantized"][0]
    assert channels < 32
    assert shapes["w1_scale"] == shapes["b1_quantized"] == [channels]
    encodings = {item.tensor: item for item in run.record.encodings}
    assert encodings["w1"].channels == channels


@pytest.mark.npu
def test_a_block_goes_whole_and_the_report_says_which(project: Path) -> None:  # noqa: F811
    run = pruned_run(project, {"prune": {"blocks": 1}}, {"quantize": {}})
    steps = {step.label: step for step in run.record.steps}
    assert list(steps) == ["prepare", "cut", "quantize"]
    assert steps["cut"].macs < 0.2 * steps["prepare"].macs
    assert steps["cut"].estimate.cycles < steps["prepare"].estimate.cycles
    assert "w2" not in weight_shapes(run.folder / "stages" / "02-prune" / "model.onnx")
    assert "Took out 1 residual block" in render_html(run.record)
    details = run.record.stages[2].details
    assert [item["name"] for item in details["blocks"]] == ["residual"]
    assert details["macs"]["after"] < 0.2 * details["macs"]["before"]


@pytest.mark.npu
def test_blocks_are_not_taken_out_of_quantized_models(project: Path) -> None:  # noqa: F811
    with pytest.raises(ConfigError, match="removed from float models only"):
        pruned_run(project, {"quantize": {}}, {"prune": {"blocks": 1}})


def test_pruning_by_activations_needs_samples(project: Path) -> None:  # noqa: F811
    with pytest.raises(ConfigError, match="The prune stage needs samples"):
        pruned_run(project, {"prune": {"ratio": 0.3}}, data={}, metric=None)


def test_one_file_is_pruned_from_the_command_line(
    project: Path,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = project / "small.onnx"
    words = "snapq prune tiny.onnx -o small.onnx --ratio 0.3 --step 8 --importance magnitude"
    monkeypatch.chdir(project)
    monkeypatch.setattr("sys.argv", [*words.split(), "--no-repair", "--input", "image=1,3,32,32"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "stem: 32 to 24 channels" in capfd.readouterr().out
    assert weight_shapes(small)["w1"][0] == 24
