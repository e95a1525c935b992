"""Two runs or bundles side by side, judged by the limits that are given and by no others."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import snapq
from snapq import api
from snapq.comparison import written
from snapq.comparison.compare import RunComparison
from snapq.errors import ConfigError, StorageError
from snapq.records import RunRecord
from tests.cli.test_bad_input import invoke
from tests.report.report_records import HOSTILE, empty, realistic


def run(folder: Path, record: RunRecord | None = None) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text((record or realistic()).model_dump_json())
    return folder


def changed(kind: str, **update: Any) -> RunRecord:
    """The realistic run with other values in each record of one kind but those of float models."""
    records = getattr(realistic(), kind)
    told = tuple(
        one.model_copy(update=update) if getattr(one, "label", "w8a8") == "w8a8" else one
        for one in records
    )
    return realistic(**{kind: told})


def slower_prediction() -> RunRecord:
    found, *others = realistic().predictions
    return realistic(predictions=(found.model_copy(update={"us": 560.0}), *others))


def compared(tmp_path: Path, after: RunRecord, **limits: Any) -> RunComparison:
    found = snapq.compare(run(tmp_path / "one"), run(tmp_path / "two", after), **limits)
    assert isinstance(found, RunComparison)
    return found


WORSE = [
    ("max_accuracy_drop", 0.005, changed("accuracy", value=0.86), "1.2"),
    ("max_sqnr_drop", 0.5, changed("fidelity", sqnr_db=23.9), "0.7"),
    ("max_estimate_growth", 0.05, changed("estimates", us=251.0, us_upper=300.0), "%"),
    ("max_prediction_growth", 0.05, slower_prediction(), "%"),
    ("max_added_cpu_nodes", 0, changed("placements", npu=63, cpu=1), "+1"),
    ("max_size_growth", 0.01, realistic(bundle_files=realistic().bundle_files * 2), "+100"),
]


@pytest.mark.parametrize(("limit", "value", "after", "_change"), WORSE)
def test_a_figure_that_got_worse_than_its_limit_fails_and_a_wide_limit_passes(
    tmp_path: Path, limit: str, value: float, after: RunRecord, _change: str
) -> None:
    found = compared(tmp_path, after, **{limit: value})
    assert not found.passed
    bad = [row for row in found.rows if row.passed is False]
    assert all(row.limit for row in bad)
    wide = 0.99 if limit.endswith("growth") else 50
    same = snapq.compare(tmp_path / "one", tmp_path / "one", **{limit: value})
    assert same.passed
    if limit != "max_size_growth":
        assert snapq.compare(tmp_path / "one", tmp_path / "two", **{limit: wide}).passed


@pytest.mark.parametrize(("limit", "value", "after", "change"), WORSE)
def test_what_has_no_limit_is_shown_and_not_judged(
    tmp_path: Path, limit: str, value: float, after: RunRecord, change: str
) -> None:
    found = compared(tmp_path, after)
    assert found.passed
    assert not found.judged
    assert any(change in row.change for row in found.rows)


def test_the_float_model_is_shown_and_not_judged(tmp_path: Path) -> None:
    worse = [
        one.model_copy(update={"value": 0.1}) if one.label == "float" else one
        for one in realistic().accuracy
    ]
    found = compared(tmp_path, realistic(accuracy=worse), max_accuracy_drop=0.001)
    assert found.passed
    assert any("the float model" in row.what and row.change for row in found.rows)


def test_runs_of_two_deployments_are_refused_or_said_to_be_another_model(tmp_path: Path) -> None:
    other = realistic(name="detector")
    with pytest.raises(ConfigError, match="Another model: deployment: efficientnet-lite0 before"):
        compared(tmp_path, other)
    found = snapq.compare(tmp_path / "one", tmp_path / "two", other_model=True)
    assert found.remarks[0].startswith("Another model: deployment")


def test_a_new_version_of_the_model_is_told_and_compared(tmp_path: Path) -> None:
    provenance = realistic().provenance.model_copy(update={"model_sha256": "e5" * 32})
    found = compared(tmp_path, realistic(provenance=provenance), max_accuracy_drop=0)
    assert found.passed
    assert "another version: b2b2b2b2 before, e5e5e5e5 now" in found.remarks[0]


def test_accuracy_on_other_samples_is_not_judged_in_silence(tmp_path: Path) -> None:
    provenance = realistic().provenance.model_copy(update={"evaluation_sha256": "e5" * 32})
    limits = {"max_accuracy_drop": 1.0, "max_estimate_growth": 0.1}
    found = compared(tmp_path, realistic(provenance=provenance), **limits)
    bad = [row for row in found.rows if row.passed is False]
    assert {row.remark for row in bad} == {"evaluated on other samples"}
    assert all("accuracy" in row.what for row in bad)


def test_a_prediction_that_rests_on_something_else_is_not_judged(tmp_path: Path) -> None:
    own = {"calibrated_on": 6, "board": "bench-1"}
    found = realistic(predictions=(realistic().predictions[0].model_copy(update=own),))
    rows = compared(tmp_path, found, max_prediction_growth=0.5).rows
    assert "calibrated on 6" in next(row.remark for row in rows if row.passed is False)


def test_a_figure_that_vanishes_fails_its_limit(tmp_path: Path) -> None:
    found = compared(tmp_path, realistic(fidelity=()), max_sqnr_drop=10)
    assert [row.change for row in found.rows if row.passed is False] == ["missing now"]


def test_a_limit_without_any_figure_fails(tmp_path: Path) -> None:
    one, two = run(tmp_path / "one", empty()), run(tmp_path / "two", empty())
    assert not snapq.compare(one, two, max_estimate_growth=0.1).passed
    assert not snapq.compare(one, two, max_slowdown=1.1).passed


def test_an_estimate_of_another_chip_is_not_judged(tmp_path: Path) -> None:
    found = compared(
        tmp_path, changed("estimates", estimated_on="sa8775p"), max_estimate_growth=1e-3
    )
    assert "sa8775p" in next(row.remark for row in found.rows if row.passed is False)


@pytest.mark.parametrize(
    ("limits", "said"),
    [({"max_size_growth": 1.05}, "0.05 is 5 %"), ({"max_sqnr_drop": -1}, "0 or more")],
)
def test_limits_that_make_no_sense_are_refused(
    tmp_path: Path, limits: dict[str, float], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        compared(tmp_path, realistic(), **limits)


def test_latest_is_the_newest_run_of_all_or_of_one_deployment(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for number, name in enumerate(("a/1", "a/2", "b/1")):
        folder = run(runs / name, realistic(name=name[0], seconds=float(number)))
        stamp = 1_800_000_000 + number
        os.utime(folder / "run.json", (stamp, stamp))
    (runs / "b" / "2").mkdir()  # a run that failed: it has a log and no record
    found = snapq.compare(runs / "a" / "latest~1", runs / "a" / "latest", runs=runs)
    assert isinstance(found, RunComparison)
    assert (found.before.title, found.after.title) == ("a/1", "a/2")
    assert repr(found).startswith("<RunComparison a/1 to a/2: ")
    assert repr(found).endswith(" figures, none out of its limit>")
    (runs / "a" / "2" / "bundle").mkdir()
    assert api.find_run("latest~1/bundle", runs) == runs / "a" / "2" / "bundle"
    assert api.latest_run(runs) == runs / "b" / "1"
    with pytest.raises(ConfigError, match="Another model"):
        snapq.compare("latest~1", "latest", runs=runs)
    with pytest.raises(StorageError, match="finished runs number 3"):
        snapq.compare("latest~3", "latest", runs=runs)


@pytest.mark.parametrize("content", ["5", "{}", "[5]", "nonsense", '[{"run_id": 1}]'])
def test_damaged_measurements_are_told(tmp_path: Path, content: str) -> None:
    one = run(tmp_path / "one")
    (one / "measurements").mkdir()
    (one / "measurements" / "benches.json").write_text(content)
    if content == "{}":  # no measurement, and none is said to be there
        assert snapq.compare(one, one).passed
    else:
        with pytest.raises(StorageError, match="measurements are damaged"):
            snapq.compare(one, one)


def test_a_file_of_a_run_stands_for_it(tmp_path: Path) -> None:
    one = run(tmp_path / "one")
    assert snapq.compare(one / "run.json", one, max_accuracy_drop=0).passed


def test_a_run_is_not_compared_with_a_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAPQ_HISTORY", str(tmp_path / "none.sqlite"))
    with pytest.raises(ConfigError, match="'3f2a' is no run directory and no bundle"):
        snapq.compare(run(tmp_path / "one"), "3f2a")
    with pytest.raises(ConfigError, match="max_sqnr_drop: A measurement has no such figure"):
        snapq.compare("3f2a", "91bc", max_sqnr_drop=1)


def test_the_command_writes_junit_markdown_and_json_and_ends_with_1(tmp_path: Path) -> None:
    one, two = run(tmp_path / "one"), run(tmp_path / "two", changed("accuracy", value=0.5))
    files = ("--junit", str(tmp_path / "c.xml"), "--markdown", str(tmp_path / "c.md"))
    code, output = invoke("compare", str(one), str(two), "--max-accuracy-drop", "0.01", *files)
    assert code == 1
    assert "BAD" in output
    suite = ElementTree.parse(tmp_path / "c.xml").getroot()
    assert suite.get("failures") == "1"
    assert suite.find("testcase/skipped") is not None
    page = (tmp_path / "c.md").read_text()
    assert page.startswith("### snapq: efficientnet-lite0 is worse than the limits allow")
    assert page.count("**worse**") == 1
    code, output = invoke("compare", str(one), str(two), "--json")
    assert code == 0
    assert json.loads(output)["rows"]


def test_one_text_goes_to_standard_output_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = (str(run(tmp_path / "one")), str(run(tmp_path / "two", changed("accuracy", value=0.5))))
    code, output = invoke("compare", *runs, "--max-accuracy-drop", "0.01", "--markdown", "-")
    assert (code, output.startswith("### snapq: efficientnet-lite0 is worse")) == (1, True)
    code, output = invoke("compare", *runs, "--junit", "-")
    assert (code, ElementTree.fromstring(output).tag) == (0, "testsuite")
    code, output = invoke("compare", *runs, "--junit", "-", "--markdown", "-")
    assert (code, "--junit - and --markdown - would both be printed" in output) == (2, True)
    assert not (tmp_path / "-").exists()


def test_names_of_models_stay_text_in_markdown_and_xml(tmp_path: Path) -> None:
    template = realistic().fidelity[0]
    fidelity = tuple(template.model_copy(update={"output": name}) for name in HOSTILE)
    found = compared(tmp_path, realistic(fidelity=fidelity), max_sqnr_drop=1)
    page = written.markdown(found)
    assert "<script" not in page.replace("\\<", "")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert {len(line.replace("\\|", "").split("|")) for line in rows} == {8}
    assert ElementTree.fromstring(written.junit(found)).tag == "testsuite"
