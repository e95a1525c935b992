"""Runs of a forest and of a support vector machine, from the table to the report."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import snapq
from snapq.bundle import snapq_io
from snapq.bundle.manifest import checksum_of
from snapq.bundle.read import Bundle
from snapq.bundle.write import write_arrays
from snapq.classical.program.answers import Answers
from snapq.config import Gates
from snapq.errors import ConfigError, DataError, ModelError, SnapqError, StorageError
from snapq.pipeline.gates import Evaluated, check
from snapq.pipeline.gates.answers import answer_notes
from snapq.pipeline.inputs import load_setting
from snapq.pipeline.steps import steps
from snapq.records import AnswersRecord, Figures, Origin, RunRecord
from snapq.report.classical import answers_text
from snapq.storage import sha256_file
from tests.bundle.application.toolchain import compiled, provider
from tests.classical.tables import forest, machine, write
from tests.pipeline.test_machines import linear

DEPLOY = """\
name: table
model: {path: model.onnx, inputs: {x: [8, 4]}}
devices: [qcs9075]
data: {evaluation: {table: rows.csv, label: class}}
metric: top1
stages: [{lower: {encoding: limbs}}, {package: {golden_samples: 1, optimization_modes: [3]}}]
gates: {min_equal_answers: 1, npu_nodes: all, max_accuracy_drop: 0}
"""


def deploy(folder: Path, *overrides: str) -> snapq.config.DeployConfig:
    (folder / "deploy.yaml").write_text(DEPLOY)
    return snapq.load(folder / "deploy.yaml", overrides)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, snapq.Run]:
    """A forest of three classes, deployed."""
    folder = tmp_path_factory.mktemp("trees")
    write(folder, forest())
    return folder, snapq.run(deploy(folder), runs=folder / "runs")


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, snapq.Run]:
    """A support vector machine, deployed at fp16."""
    folder = tmp_path_factory.mktemp("vectors")
    write(folder, machine())
    return folder, snapq.run(deploy(folder, "gates={}"), runs=folder / "runs")


def test_trees_rest_on_no_random_rows_beside_real_ones(tmp_path: Path) -> None:
    random = "data.calibration={random: true, samples: 8}"
    for model, rests in ((forest(), False), (machine(), True)):
        write(tmp_path, model)
        assert load_setting(deploy(tmp_path, random)).random_inputs == rests


def record(finished: tuple[Path, snapq.Run]) -> RunRecord:
    return finished[1].record


@pytest.mark.npu
@pytest.mark.slow
def test_a_forest_gives_every_label_of_onnxruntime(trees: tuple[Path, snapq.Run]) -> None:
    found = record(trees)
    assert trees[1].passed
    labels, scores = found.answers
    assert (labels.output, labels.labels) == ("label", True)
    assert labels.equal + labels.ties == labels.rows == 20
    assert scores.largest < 1e-6
    accuracy = {item.label: item.value for item in found.accuracy}
    assert accuracy == {"float": 0.9, "w8a8": 0.9}  # two of twenty labels in the table are wrong


@pytest.mark.npu
@pytest.mark.slow
def test_all_nodes_of_a_forest_are_on_the_npu_and_it_has_an_estimate(
    trees: tuple[Path, snapq.Run],
) -> None:
    (placement,) = record(trees).placements
    assert placement.cpu == 0
    assert placement.npu > 5
    assert [item.label for item in record(trees).estimates] == ["w8a8"]


@pytest.mark.npu
@pytest.mark.slow
def test_the_report_has_estimators_columns_and_the_advice(trees: tuple[Path, snapq.Run]) -> None:
    found = record(trees)
    (estimator,) = found.estimators
    assert estimator.what.startswith("6 trees of depth 4, ")
    assert estimator.runs_on == "npu"
    assert sum(item.share for item in found.importances) == pytest.approx(1)
    (advice,) = found.advice
    assert not advice.npu
    assert advice.sentence.startswith("Leave it on the CPU at 8 rows")
    page = trees[1].report.read_text()
    assert "Labels equal to ONNX Runtime" in page
    assert "20 of 20" in page
    assert advice.sentence in page


@pytest.mark.npu
@pytest.mark.slow
def test_rows_are_cut_into_batches_whose_filling_does_not_count(
    trees: tuple[Path, snapq.Run],
) -> None:
    assert record(trees).answers[0].rows == 20  # of three batches of eight
    assert next(item.samples for item in record(trees).accuracy) == 20


@pytest.mark.npu
@pytest.mark.slow
def test_a_machine_runs_at_fp16_behind_its_scaler(vectors: tuple[Path, snapq.Run]) -> None:
    found = record(vectors)
    assert [stage.name for stage in found.stages] == ["source", "lower", "prepare", "package"]
    assert found.answers[0].equal == found.answers[0].rows == 20
    assert min(item.sqnr_db for item in found.fidelity) > 54
    assert found.placements[0].cpu == 0


@pytest.mark.npu
@pytest.mark.slow
def test_golden_rows_go_through_head_and_tail_of_the_bundle(
    trees: tuple[Path, snapq.Run], vectors: tuple[Path, snapq.Run]
) -> None:
    for _, run in (trees, vectors):
        assert run.bundle is not None
        opened = Bundle.open(run.bundle)
        given, answers = opened.golden_rows(), opened.golden_answers()
        assert opened.host is not None
        feeds = opened.boundary
        encoded = opened.host.encode(given)
        (packaged,) = opened.golden_feeds()
        assert {name: value.dtype.name for name, value in packaged.items()} == {
            item.name: item.dtype for item in feeds.inputs
        }
        (outputs,) = opened.golden_outputs("qcs9075")
        found = opened.host.decode(given, feeds.package_outputs(outputs))
        np.testing.assert_array_equal(found["label"], answers["label"])
        for name, value in packaged.items():
            if value.dtype.kind in "iu":
                np.testing.assert_array_equal(encoded[name].astype(value.dtype), value)


@pytest.mark.npu
@pytest.mark.slow
def test_the_machine_brings_rows_for_calibration_and_runs_at_w8a16(
    vectors: tuple[Path, snapq.Run],
) -> None:
    folder = vectors[0]
    wide = 'stages=[{"quantize": {"activations": "uint16", "preset": "fast"}}]'
    finished = snapq.run(deploy(folder, wide, "gates={}"), runs=folder / "runs")
    details = next(stage for stage in finished.record.stages if stage.name == "quantize").details
    assert details["calibration"] == "the model's own support vectors"
    assert finished.record.answers[0].equal == 20


PRUNED = 'stages=[{"lower": {}}, {"prune": {"trees": {}}}, {"package": {}}]'


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (['model.inputs={"x": [8, 5]}'], "takes 5 columns, and 4 feed it"),
        (['io={"dtype": "float"}'], "Leave `io` out"),
        (['model.outputs=["scores"]'], "divided by itself"),
        (['stages=[{"cluster": {}}]'], "`cluster` is for networks"),
        (["model.inputs={}"], "dimensions are dynamic"),
        (["data.evaluation.label=clas"], "Did you mean 'class'?"),
        (["data.evaluation.label=null", "metric=null", "gates={}"], "name it: `label: class`"),
        ([PRUNED], "Trees are pruned on rows with labels, and there are none"),
        (['metric={"lable": "top1"}'], "Did you mean 'label'?"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(
    tmp_path: Path, overrides: list[str], said: str
) -> None:
    write(tmp_path, forest())
    with pytest.raises(SnapqError) as caught:
        load_setting(deploy(tmp_path, *overrides))
    assert said in str(caught.value)


def test_a_network_has_no_lower_stage(tmp_path: Path) -> None:
    from tests.pipeline.conftest import tiny_model

    write(tmp_path, forest())
    (tmp_path / "model.onnx").write_bytes(tiny_model().SerializeToString())
    config = deploy(tmp_path, 'model.inputs={"image": [1, 3, 32, 32]}', "metric=null", "gates={}")
    with pytest.raises(ConfigError, match="`lower` is for tree ensembles"):
        load_setting(config)


def test_stages_are_put_in_and_left_out_with_a_note(tmp_path: Path) -> None:
    def names(*overrides: str) -> list[str]:
        setting = load_setting(deploy(tmp_path, *overrides))
        assert setting.classical is not None
        notes.append(setting.classical.notes)
        return [step.name for step in steps(setting)]

    notes: list[tuple[str, ...]] = []
    quantized = 'stages=[{"quantize": {}}, {"package": {}}]'
    write(tmp_path, forest())
    assert names(quantized) == ["source", "lower", "package"]
    assert "exact integers of 8 bits already" in notes[-1][0]
    labelled = f'data.calibration={{"table": "{tmp_path}/rows.csv", "label": "class"}}'
    assert names(PRUNED, labelled) == ["source", "prune", "lower", "package"]
    assert "in this order" in notes[-1][0]
    write(tmp_path, machine())
    with pytest.raises(ConfigError, match="no trees that can be pruned"):
        names(PRUNED, labelled)
    assert names('stages=[{"package": {}}]') == ["source", "lower", "prepare", "package"]
    wide = ["source", "lower", "prepare", "quantize", "package"]
    assert names('stages=[{"package": {}}]', 'devices=["qcs6490"]') == wide
    assert "has no fp16" in notes[-1][0]


def test_a_linear_model_that_needs_rows_says_why_and_which(tmp_path: Path) -> None:
    onnx.save(linear(), tmp_path / "model.onnx")
    (tmp_path / "deploy.yaml").write_text(
        "{name: linear, model: {path: model.onnx, inputs: {x: [16, 5]}}, devices: [qcs6490], "
        "stages: [{package: {}}]}"
    )
    with pytest.raises(ConfigError, match="put in for a device without fp16") as caught:
        load_setting(snapq.load(tmp_path / "deploy.yaml"))
    assert "{table: train.csv" in str(caught.value.hint)


def test_text_labels_are_scored_as_classes_and_nan_is_a_value(tmp_path: Path) -> None:
    write(tmp_path, forest(), wrong=0)
    with (tmp_path / "rows.csv").open("a") as file:
        file.write(",1,nan,-inf,red\n")
    setting = load_setting(deploy(tmp_path, "metric=f1"))
    assert setting.evaluation is not None
    last = list(setting.evaluation)[-1]
    assert last.rows == 5
    assert np.isnan(last.feeds["x"][4, 0])
    columns = 'data.evaluation.columns=["size", "mass", "heat", "size"]'
    with pytest.raises(DataError, match="needs a class number"):
        load_setting(deploy(tmp_path, "data.evaluation.label=mass", columns))


def test_an_operator_that_is_not_covered_is_named(tmp_path: Path) -> None:
    model = forest()
    write(tmp_path, model)
    model.graph.node[0].op_type = "TreeEnsembleUnheard"
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="TreeEnsembleUnheard"):
        load_setting(deploy(tmp_path))


@pytest.mark.npu
@pytest.mark.slow
def test_the_helper_answers_any_number_of_rows_without_snapq(
    trees: tuple[Path, snapq.Run], vectors: tuple[Path, snapq.Run], tmp_path: Path
) -> None:
    script = tmp_path / "application.py"
    script.write_text(APPLICATION)
    for folder, run in (trees, vectors):
        command = [sys.executable, "-I", str(script), str(run.bundle), str(folder / "model.onnx")]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        equal, largest, snapq_too = int(said[0]), float(said[1]), said[2]
        assert equal == 19
        assert largest < 1e-5
        assert snapq_too == "False"


@pytest.mark.npu
@pytest.mark.slow
def test_constants_of_head_and_tail_are_hashed_and_all_there(
    trees: tuple[Path, snapq.Run], tmp_path: Path
) -> None:
    assert trees[1].bundle is not None
    copy = Path(shutil.copytree(trees[1].bundle, tmp_path / "bundle"))
    path = copy / "host.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StorageError, match="SHA-256"):
        Bundle.open(copy)
    write_arrays(path, {"head.0.other": np.zeros(3, np.float32)})
    manifest = json.loads((copy / "manifest.json").read_text())
    for entry in manifest["files"]:
        if entry["path"] == "host.npz":
            entry.update(bytes=path.stat().st_size, sha256=sha256_file(path))
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StorageError, match="changed after the bundle was written"):
        Bundle.open(copy)
    manifest["checksum"] = checksum_of(manifest)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    opened = Bundle.open(copy)
    with pytest.raises(StorageError, match="are missing"):
        _ = opened.host


def test_the_applications_helper_names_what_is_wrong(trees: tuple[Path, snapq.Run]) -> None:
    assert trees[1].bundle is not None
    package, rows = snapq_io.load(trees[1].bundle), np.zeros((2, 4), np.float32)
    with pytest.raises(ValueError, match="not compiled for sm1"):
        package.open_session("sm1")
    with pytest.raises(ValueError, match=r"no inputs \['z'\]"):
        package.predict({"x": rows, "z": rows}, None)
    with pytest.raises(ValueError, match="are missing"):
        package.decode({}, rows)


APPLICATION = """\
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import onnxruntime
import snapq_io

package = snapq_io.load(sys.argv[1])
rows = np.random.default_rng(3).normal(size=(19, 4)).astype(np.float32)
found = package.predict(rows, package.open_session("cpu"))
given = onnxruntime.InferenceSession(sys.argv[2], providers=["CPUExecutionProvider"])
labels, scores = given.run(["label", "scores"], {"x": rows})
largest = np.abs(found["scores"] - scores).max()
print((found["label"] == labels).sum(), largest, "snapq" in sys.modules)
"""


@pytest.mark.parametrize(
    ("labels", "equal", "ties", "largest", "share"),
    [
        (True, 9, 1, 0.0, 1.0),
        (True, 9, 0, 0.0, 0.9),
        (False, 0, 0, 2e-5, 1.0),
        (False, 0, 0, 0.5, 0.75),
    ],
)
def test_ties_and_the_rounding_of_sums_count_as_equal(
    labels: bool, equal: int, ties: int, largest: float, share: float
) -> None:
    found = AnswersRecord(
        label="w8a8",
        output="y",
        labels=labels,
        rows=10,
        equal=equal,
        ties=ties,
        largest=largest,
        range=2.0,
        dataset="",
        where=Origin.SIMULATED,
    )
    assert found.share == pytest.approx(share)
    figures = Figures(answers=(found,))
    (gate,) = check(Gates(min_equal_answers=0.95), Evaluated(figures, (), "w8a8"))
    assert gate.passed == (share >= 0.95)


def answers(precision: str, equal: int, **changes: Any) -> Figures:
    found = AnswersRecord(
        label=precision,
        output="label",
        labels=True,
        rows=100,
        equal=equal,
        dataset="",
        where=Origin.SIMULATED,
    )
    return Figures(answers=(found.model_copy(update=changes),))


@pytest.mark.parametrize(
    ("figures", "precision", "failed", "told"),
    [
        (answers("w8a16", 98), "w8a16", True, "2 of 100 labels of 'label' are not ONNX Runtime's"),
        (answers("fp16", 90), "fp16", True, "scale the features"),
        (answers("w8a16", 99), "w8a16", False, ""),
        (answers("w8a16", 49, rows=50), "w8a16", False, "1 of 50 labels"),
        (answers("w8a8", 90), "w8a8", False, "w8a16"),
        (answers("fp16", 80, rounded=20), "fp16", False, ""),
        (answers("w8a16", 50, random_inputs=True), "w8a16", False, "50 of 100"),
        (answers("fp16", 0, labels=False, largest=0.1, range=2.0), "fp16", True, "up to 5.0%"),
        (answers("fp16", 0, labels=False, largest=0.1, range=4.0), "fp16", False, ""),
    ],
)
def test_other_answers_at_16_bits_fail_a_run_that_names_no_gate(
    figures: Figures, precision: str, failed: bool, told: str
) -> None:
    gates = check(Gates(), Evaluated(figures, (), precision))
    assert [one.name for one in gates if not one.passed] == ["min_equal_answers"] * failed
    notes = " ".join(answer_notes(figures.answers, precision))
    assert told in notes if told else not notes
    (asked,) = check(Gates(min_equal_answers=0), Evaluated(figures, (), precision))
    assert asked.passed


def test_the_sqnr_of_an_answer_is_that_behind_the_tail() -> None:
    found = Answers()
    given = np.float32([[3], [4], [np.inf]])
    found.update({"y": given}, {"y": given + np.float32([[0.03], [-0.04], [0]])}, 3)
    (one,) = found.outputs.values()
    assert one.sqnr_db == pytest.approx(40, abs=0.01)
    (record,) = answers("fp16", 0, labels=False, range=1.0, sqnr_db=one.sqnr_db).answers
    assert "SQNR 40.0 dB behind the tail" in answers_text(record)


@pytest.mark.npu
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
def test_the_cpp_program_of_a_forest_answers_rows_as_the_helper_does(
    trees: tuple[Path, snapq.Run], tmp_path: Path
) -> None:
    bundle = trees[1].bundle
    assert bundle is not None
    program = compiled(bundle, tmp_path)
    rows = np.random.default_rng(0).normal(size=(11, 4)).astype(np.float32)
    np.savetxt(tmp_path / "rows.csv", rows, fmt="%.9g", delimiter=",")
    command = [sys.executable, "-B", bundle / "samples/main.py", tmp_path / "rows.csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.replace("'", '"').splitlines()
    labels, scores = (json.loads(line.split(" ", 1)[1]) for line in printed)
    assert len(labels) == 8
    expected = [
        f"label {label}  scores {' '.join(f'{value:.9g}' for value in row)}"
        for label, row in zip(labels, scores, strict=True)
    ]
    for model, more in (("model.onnx", []), ("devices/qcs9075/model_ctx.onnx", [provider()])):
        command = [program, model, tmp_path / "rows.csv", *more]
        done = subprocess.run(command, cwd=bundle, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found = [line.strip() for line in done.stdout.splitlines() if line.startswith("label")]
        assert len(found) == len(rows)
        assert found[:8] == expected
    odd = {",,1,\r\n": "label", "a,b,c,d\n": "'a' is no number", "1,2,3\n": "has 3 columns"}
    for text, said in odd.items():
        (tmp_path / "odd.csv").write_bytes(text.encode())
        command = [program, "model.onnx", tmp_path / "odd.csv"]
        done = subprocess.run(command, cwd=bundle, capture_output=True, text=True, check=False)
        assert said in done.stdout + done.stderr
