"""Rows on a board: head, part for the NPU and tail of a classical model, timed beside the CPU's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from snapq.benchmarking.history.imported import read_measurement
from snapq.benchmarking.run import bundle_candidates
from snapq.benchmarking.targets.base import Target
from snapq.benchmarking.targets.board import BoardTarget
from snapq.benchmarking.targets.local import LocalTarget
from snapq.bundle.read import Bundle
from snapq.config import BenchmarkConfig, Gates
from snapq.errors import DeviceError
from snapq.pipeline.gates import Evaluated, check
from snapq.records import Figures
from snapq.records.bench import BenchRecord
from tests.boards import boards, sshd
from tests.boards.liar import Edit, lying
from tests.boards.rows_bundle import Manifest, deploy, edit
from tests.boards.session.test_npu import with_npu
from tests.classical.tables import forest, machine

__all__ = ["with_npu"]  # a fixture

pytestmark = [pytest.mark.board, pytest.mark.slow, pytest.mark.npu]
PROTOCOL = BenchmarkConfig(warmup=0, min_runs=3, min_duration_s=0, repeats=1, allow=("npu", "cpu"))
HERE = PROTOCOL.model_copy(update={"allow": None})


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return deploy(tmp_path_factory.mktemp("trees"), forest())


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its golden rows are made up, as there is no table."""
    return deploy(tmp_path_factory.mktemp("vectors"), machine(), table=False)


def measure(target: Target, bundle: Path) -> tuple[BenchRecord, BenchRecord]:
    """The results of the model for the CPU, and of the package."""
    protocol = HERE if isinstance(target, LocalTarget) else PROTOCOL
    found = target.measure(bundle_candidates(Bundle.open(bundle), protocol), protocol)
    cpu, package = found.records
    assert cpu.model.label == "cpu.onnx"
    return cpu, package


@pytest.mark.parametrize("kind", ["trees", "vectors"])
def test_a_board_answers_rows_as_onnxruntime_does(
    kind: str, server: sshd.Sshd, request: pytest.FixtureRequest
) -> None:
    cpu, package = measure(BoardTarget(boards.board(server)), request.getfixturevalue(kind))
    for record in (cpu, package):
        labels, scores = record.answers
        assert (labels.equal + labels.ties, labels.rows, labels.met) == (16, 16, True)
        assert scores.met
        assert record.rows == 8
    assert package.valid.answers_met
    assert package.valid.reasons[0] == "not everything ran on the NPU"
    assert not any("golden" in reason for reason in package.valid.reasons)
    assert "WRONG" not in package.headline


def test_head_call_and_tail_are_told_apart_and_the_cpu_is_timed_beside(
    server: sshd.Sshd, trees: Path
) -> None:
    cpu, package = measure(BoardTarget(boards.board(server)), trees)
    assert cpu.parts_ms is None
    parts = package.parts_ms
    assert parts is not None
    assert min(parts.encode, parts.call, parts.decode) > 0
    assert parts.encode + parts.decode < package.latency_ms.max
    verdict = package.verdict
    assert verdict is not None
    assert (verdict.rival, verdict.where) == ("cpu.onnx", "estimated")
    assert verdict.winner == "cpu"  # a call alone takes longer than so few trees
    assert verdict.sentence.startswith("The NPU did not run on board, so that its time is an est")
    assert "measured on board" in verdict.sentence


def test_where_the_npu_runs_both_sides_are_measured(with_npu: sshd.Sshd, trees: Path) -> None:
    board = replace(boards.board(with_npu), profile="qcs9075")
    cpu, package = measure(BoardTarget(board), trees)
    assert package.placement.fallback == "npu context binary"
    assert package.valid.all_on_npu
    assert (package.valid.golden_met, package.valid.answers_met) == (True, True)
    verdict = package.verdict
    assert verdict is not None
    assert (verdict.winner, verdict.where) == ("cpu", "measured")  # a simulator is slow
    assert verdict.sentence.startswith("At 8 rows on board the CPU wins, ")
    assert verdict.gain == pytest.approx(cpu.latency_ms.p50 / package.latency_ms.p50)


def _mixed_up(part: str, op: str, key: str) -> Callable[[Manifest], None]:
    """Lets two inputs, outputs or arrays of a step change places."""

    def change(manifest: Manifest) -> None:
        step = next(one for one in manifest["host"][part]["steps"] if one["op"] == op)
        if isinstance(step[key], dict):
            names = list(step[key])
            step[key] = dict(zip(names, reversed(step[key].values()), strict=True))
        else:
            step[key].reverse()

    return change


def _never(part: str, op: str, **attributes: int) -> Callable[[Manifest], None]:
    def change(manifest: Manifest) -> None:
        step = next(one for one in manifest["host"][part]["steps"] if one["op"] == op)
        step["attributes"].update(attributes)

    return change


@pytest.mark.parametrize("place", ["board", "local"])
@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("trees", _mixed_up("head", "tree_limbs", "outputs"), "golden rows get another label"),
        ("vectors", _mixed_up("tail", "Concat", "inputs"), "scores of the golden rows is off"),
    ],
    ids=["head of trees", "tail of vectors"],
)
def test_wrong_answers_are_told_first(
    place: str,
    kind: str,
    change: Callable[[Manifest], None],
    said: str,
    server: sshd.Sshd,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    bundle = Path(shutil.copytree(request.getfixturevalue(kind), tmp_path / "bundle"))
    edit(bundle, change)
    target = LocalTarget() if place == "local" else BoardTarget(boards.board(server))
    cpu, package = measure(target, bundle)
    assert not cpu.answers_wrongly
    assert package.answers_wrongly
    assert not package.valid.ok
    assert package.headline.endswith("Its answers to the golden rows are WRONG.")
    assert any(said in reason for reason in package.valid.reasons)
    gates = check(Gates(), Evaluated(Figures(benches=(cpu, package)), (), package.model.label))
    assert {(gate.name, gate.passed) for gate in gates} == {("golden_rows", False)}
    assert f"{package.model.label} on {place} (measured)" in gates[0].found


def test_a_tail_that_cannot_be_computed_there_is_told_in_a_sentence(
    server: sshd.Sshd, trees: Path, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(trees, tmp_path / "bundle"))
    edit(bundle, _never("tail", "ArgMax", axis=5))
    said = r"The tail of the model cannot be computed \(Python 3.*, NumPy .*\): AxisError"
    with pytest.raises(DeviceError, match=said):
        measure(BoardTarget(boards.board(server)), bundle)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (Edit("loaded", "set", ["answers"], "{}"), "the golden rows were not all answered"),
        (Edit("loaded", "set", ["answers", "label", "rows"], "1"), "were not all answered"),
        (Edit("turn", "set", ["encode_ms"], "[]"), "makes no sense"),
        (Edit("turn", "times 1000", ["decode_ms", 0]), "makes no sense"),
    ],
    ids=["no answers", "fewer rows", "no head", "a tail longer than the whole"],
)
def test_a_board_that_lies_about_rows_gets_no_claim(
    edit: Edit, said: str, server: sshd.Sshd, trees: Path
) -> None:
    candidates = bundle_candidates(Bundle.open(trees), PROTOCOL)[-1:]
    with lying(server, boards.board(server), [edit], "a-liar") as board:
        try:
            reasons = BoardTarget(board).measure(candidates, PROTOCOL).records[0].valid.reasons
        except DeviceError as error:
            reasons = (str(error),)
    assert any(said in reason for reason in reasons)


def test_verify_answers_rows_too_where_there_is_no_snapq(trees: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(trees, tmp_path / "bundle"))
    words = [sys.executable, "-IB", bundle / "verify.py", "--cpu", "--min-seconds", "0.01", "-o"]

    def verify() -> subprocess.CompletedProcess[str]:
        file = [tmp_path / "m.json", "--min-runs", "10"]
        return subprocess.run([*words, *file], capture_output=True, text=True, check=False)

    done = verify()
    assert done.returncode == 0, done.stderr
    assert "label: 0 of 16 golden rows are answered otherwise than by ONNX Runtime." in done.stdout
    edit(bundle, _mixed_up("head", "tree_limbs", "outputs"))
    done = verify()
    assert done.returncode == 1
    assert "golden rows are answered otherwise than by ONNX Runtime: WRONG." in done.stdout
    record = read_measurement(tmp_path / "m.json")
    assert record.answers_wrongly
    assert any("get another label" in reason for reason in record.valid.reasons)
    path = bundle / "manifest.json"
    path.write_text(path.read_text().replace('"axis": 1', '"axis": 0'))
    assert "manifest.json was changed" in verify().stderr
