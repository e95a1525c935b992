"""The commands do what their help says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from snapq.benchmarking.history import store
from snapq.cli.app import app
from snapq.errors import RenamedWarning
from snapq.graph import io
from tests.benchmarking.history.test_history import on_board
from tests.cli.test_bad_input import invoke
from tests.graph.models import build

pytestmark = pytest.mark.slow


def succeed(*arguments: str) -> str:
    code, output = invoke(*arguments)
    assert code == 0, output
    return output


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    return project


def test_every_command_has_help_with_an_example() -> None:
    listed = CliRunner().invoke(app, ["--help"]).output
    for command in (
        *("init", "validate", "plan", "schema", "run", "report"),
        *("inspect", "quantize", "analyze", "estimate", "simulate", "devices", "doctor"),
    ):
        assert command in listed
        assert "Example" in succeed(command, "--help")


@pytest.mark.npu
def test_init_writes_a_deploy_yaml_that_runs_at_once(here: Path) -> None:
    succeed("init", "tiny.onnx", "--device", "qcs9075", "-o", "first.yaml")
    output = succeed("run", "first.yaml", "--set", "benchmark=null", "--json")
    assert json.loads(output[output.index("{") :])["notes"]


@pytest.mark.npu
def test_plan_says_what_is_kept(here: Path) -> None:
    first = json.loads(succeed("plan", "deploy.yaml", "--json"))
    assert not any(stage["cached"] for stage in first["stages"])
    succeed("run", "deploy.yaml")
    second = json.loads(succeed("plan", "deploy.yaml", "--json"))
    assert all(stage["cached"] for stage in second["stages"])


@pytest.mark.npu
def test_report_shows_the_newest_run_again(here: Path) -> None:
    succeed("run", "deploy.yaml")
    shown = succeed("report")
    assert "w8a8" in shown
    assert "simulated" in shown


@pytest.mark.npu
def test_quantize_estimate_and_simulate_work_on_files(here: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez("samples.npz", image=rng.normal(size=(4, 3, 32, 32)).astype(np.float32))
    shape = ("--input", "image=1,3,32,32")
    succeed("quantize", "tiny.onnx", "-o", "q.onnx", "--calibration", "samples.npz", *shape)
    q = json.loads(succeed("estimate", "q.onnx", "--device", "qcs9075", "--json"))
    f = json.loads(succeed("estimate", "tiny.onnx", "--device", "qcs9075", "--json", *shape))
    assert 0 < q["cycles"] < f["cycles"]
    inputs = rng.normal(size=(2, 1, 3, 32, 32)).astype(np.float32)
    np.savez("in.npz", image=inputs)
    succeed("simulate", "q.onnx", "--device", "sm8650", "--inputs", "in.npz", "-o", "out.npz")
    assert np.load("out.npz")["logits"].shape == (2, 1, 4)


@pytest.mark.npu
def test_inspect_names_every_precision_of_the_device(here: Path) -> None:
    output = succeed(
        "inspect", "tiny.onnx", "--device", "sm8650", "--input", "image=1,3,32,32", "--json"
    )
    found = json.loads(output[output.index("{") :])
    assert {place["precision"] for place in found["placements"]} == {"fp16", "w8a8", "w8a16"}
    assert all(place["cpu"] == 0 and place["npu"] > 0 for place in found["placements"])


def test_inspect_says_why_a_pass_left_a_node_alone(here: Path) -> None:
    model = build(
        """(float[1,4,6,6] x, float[8,4,3,3] w, float[4,1,1] w1) => (float[1,8,6,6] y) {
            b = Add(x, w1) y = Conv <pads = [1,1,1,1]> (b, w) }"""
    )
    io.save(model, here / "padded.onnx")
    given = ("inspect", "padded.onnx", "--target", "sm8650")
    (skipped,) = json.loads(succeed(*given, "--json", "-q"))["skipped"]
    assert (skipped["pass_name"], skipped["node"]) == ("fold_into_next", "Conv_y")
    assert "fold_into_next" in succeed(*given, "--passes")
    assert "fold_into_next" not in succeed(*given)


@pytest.mark.npu
def test_inspect_reads_what_a_compiled_file_was_made_for(here: Path) -> None:
    succeed("run", "deploy.yaml", "--output", "out")
    folder = here / "out" / "bundle" / "devices" / "sm8650"
    (binary,) = folder.glob("*.bin")
    (found,) = json.loads(succeed("inspect", str(binary), "--json"))
    assert (found["soc_id"], found["architecture"]) == (57, 75)
    assert found["graphs"][0]["inputs"][0]["shape"] == [1, 32, 32, 3]
    assert "SoC id 57, v75" in succeed("inspect", str(binary))
    code, output = invoke("inspect", str(folder / "model_ctx.onnx"), "--device", "sm8650")
    assert code == 2
    assert "compiled" in output


def test_devices_are_listed_searched_and_shown() -> None:
    everything = json.loads(succeed("devices", "--json"))
    assert len(everything) > 40
    assert {d["architecture"] for d in json.loads(succeed("devices", "v75", "--json"))} == {75}
    assert "sm8650" in succeed("devices", "snapdragon-8-gen-3")


def test_the_schema_is_json(here: Path) -> None:
    assert json.loads(succeed("schema"))["properties"]["devices"]


@pytest.mark.npu
def test_analyze_takes_model_data_and_precision_out_of_a_deploy_yaml(here: Path) -> None:
    succeed("init", "tiny.onnx", "--device", "qcs9075", "-o", "first.yaml")
    output = succeed("analyze", "first.yaml", "--device", "qcs9075", "--json")
    found = json.loads(output[output.index("{") :])  # behind lines of steps that took long
    assert found["where"] == "host"
    assert found["items"]
    assert all(item["kind"] == "node" and item["us"] is not None for item in found["items"])
    assert sum(item["us"] for item in found["items"]) <= found["estimate"]["us"]


def test_a_device_may_be_given_by_its_former_name(here: Path) -> None:
    with pytest.warns(RenamedWarning, match="`--target` is called `--device` now"):
        code, _ = invoke("init", "tiny.onnx", "--target=qcs9075", "-o", "former.yaml")
    assert code == 0
    assert "devices: [qcs9075]" in (here / "former.yaml").read_text()
    code, output = invoke("estimate", "tiny.onnx", "--device", "sm8650", "--target", "sm8650")
    assert code == 2
    assert "Give `--device` alone." in output


def test_the_note_about_a_former_name_is_one_line(here: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "snapq", "init", "tiny.onnx", "--target", "qcs9075", "--force"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("note: `--target` is called")


@pytest.mark.npu
def test_estimate_has_the_prediction_beside_it_or_says_why_not(here: Path) -> None:
    shape = ("--input", "image=1,3,32,32")
    found = json.loads(succeed("estimate", "tiny.onnx", "--device", "qcs9075", *shape, "--json"))
    assert found["estimated_on"] == "qcs9075"
    assert (found["prediction"]["us"] is None) == bool(found["prediction"]["reason"])
    told = succeed("estimate", "tiny.onnx", "--device", "sa8540", *shape)
    assert "no prediction: no latencies of sa8540 are public" in told
    assert "Of the model as given; `snapq run` prepares it first" in told


@pytest.mark.npu
def test_estimate_is_calibrated_on_ones_own_board_unless_that_is_not_wanted(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAPQ_HISTORY", str(here / "history.sqlite"))
    store.remember([on_board(index, 1.2) for index in range(3)])
    asked = ("estimate", "tiny.onnx", "--device", "qcs9075", "--input", "image=1,3,32,32")
    assert "calibrated on 3 of your measurements on bench-1" in succeed(*asked)
    assert "calibrated" not in succeed(*asked, "--no-own-measurements")
    assert "Predictions for boards with qcs9075 are calibrated on 3" in succeed("history")


def test_devices_show_says_what_predictions_rest_on() -> None:
    assert "No prediction: no latencies of sa8540 are public" in succeed(
        "devices", "show", "sa8540"
    )
    (found,) = json.loads(succeed("devices", "show", "qcs9075", "--json"))
    assert isinstance(found["predictions"], list)


@pytest.mark.npu
@pytest.mark.slow
def test_estimate_says_what_a_sample_takes_in_calls_of_several(here: Path) -> None:
    asked = ("estimate", "tiny.onnx", "--device", "qcs9075", "--input", "image=1,3,32,32")
    found = json.loads(succeed(*asked, "--batch", "1,4", "--json"))["batches"]
    assert [one["batch"] for one in found] == [1, 4]
    assert found[1]["sample_us"] == pytest.approx(found[1]["us"] / 4, rel=0.2)
    assert found[1]["us"] > found[0]["us"]
    assert "A call takes 4 samples, " in succeed(*asked, "--batch", "4")
    code, output = invoke(*asked, "--batch", "many")
    assert code == 2
    assert "Write 8, several such as 1,2,4, or auto" in output
