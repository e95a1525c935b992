"""Sweeps: several runs, one page with the curve."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from snapq import api
from snapq.config import DeployConfig
from snapq.errors import ConfigError, RenamedWarning
from snapq.records import Origin
from snapq.report.sweep import SweepPoint, SweepRecord, curve, render
from snapq.searching.sweep import key_path, parse
from tests.pipeline.conftest import project  # noqa: F401


def points(*figures: tuple[str, float, float]) -> SweepRecord:
    made = (
        SweepPoint(
            value=value,
            folder=f"../{value}",
            device="qcs9075",
            metric="top1",
            accuracy=accuracy,
            float_accuracy=0.9,
            where=Origin.SIMULATED,
            estimate_us=us,
        )
        for value, us, accuracy in figures
    )
    return SweepRecord(name="net", key="ratio", points=tuple(made))


@pytest.mark.slow
def test_a_sweep_runs_each_value_and_shows_all_on_one_page(project: Path) -> None:  # noqa: F811
    path = project / "deploy.yaml"
    config = yaml.safe_load(path.read_text())
    config |= {"stages": [{"prune": {"ratio": 0.5, "step": 8}}], "gates": {}, "devices": ["sm8650"]}
    path.write_text(yaml.safe_dump(config))
    done = api.sweep(path, "ratio=0.1,0.6", runs=project / "runs")
    assert [point.value for point in done.record.points] == ["0.1", "0.6"]
    macs = [point.macs for point in done.record.points]
    assert macs == sorted(macs, reverse=True)
    assert macs[0] > macs[1]
    for point in done.record.points:
        assert (done.folder / point.folder / "report.html").is_file()
    assert SweepRecord.model_validate(json.loads((done.folder / "sweep.json").read_text()))
    assert "0.6" in done.page.read_text()


def test_the_curve_runs_from_the_fastest_to_the_slowest() -> None:
    record = points(("0.1", 170, 0.88), ("0.3", 120, 0.7), ("0.2", 150, 0.85))
    found = curve(record)
    assert found is not None
    assert [mark.label for mark in found.marks] == ["0.3", "0.2", "0.1"]
    assert found.us == (120, 170)
    assert found.values == (0.7, 0.9)
    assert "<polyline" in render(record)


def test_names_from_outside_are_no_markup_on_the_page() -> None:
    record = points(("<script>1</script>", 1, 0.5), ("b", 2, 0.6))
    assert "<script>1" not in render(record)


def test_one_point_is_no_curve() -> None:
    assert curve(points(("0.1", 170, 0.88))) is None


@pytest.mark.parametrize("option", ["ratio", "ratio=", "ratio=0.1", "=1,2", "ratio=0.1,0.1"])
def test_what_is_no_sweep_is_refused(option: str) -> None:
    with pytest.raises(ConfigError, match="two or more"):
        parse(option)


def test_a_key_that_no_stage_has_is_refused_before_any_run(project: Path) -> None:  # noqa: F811
    with pytest.raises(ConfigError, match="No stage of the file has"):
        api.sweep(project / "deploy.yaml", "ratio=0.1,0.2", runs=project / "runs")
    assert not (project / "runs").exists()


def staged(folder: Path, *stages: dict) -> DeployConfig:
    """The project's configuration with other stages."""
    path = folder / "deploy.yaml"
    config = yaml.safe_load(path.read_text()) | {"stages": list(stages), "gates": {}}
    path.write_text(yaml.safe_dump(config))
    return api.load(path)


@pytest.mark.parametrize(
    ("key", "path", "value"),
    [
        ("ratio", "stages.1.prune.ratio", 0.5),
        ("blocks", "stages.0.prune.blocks", 2),
        ("lr", "stages.finetune.lr", 0.5),
    ],
)
def test_of_several_stages_the_one_that_has_the_key_in_the_file_is_meant(
    project: Path,  # noqa: F811
    key: str,
    path: str,
    value: float,
) -> None:
    config = staged(project, {"prune": {"blocks": 1}}, {"prune": {"ratio": 0.3}}, {"finetune": {}})
    assert key_path(key, config) == path
    changed = api.load(project / "deploy.yaml", [f"{path}={value}"])
    assert value in [getattr(item.options, key, None) for item in changed.stages]


def test_a_key_by_its_former_name_is_swept_by_its_new_one(project: Path) -> None:  # noqa: F811
    with pytest.warns(RenamedWarning, match="precision_rules"):
        path = key_path("keep_wide", staged(project, {"quantize": {}}))
    assert path == "stages.quantize.precision_rules"


def test_where_it_is_not_clear_which_stage_is_meant_the_paths_are_told(project: Path) -> None:  # noqa: F811
    config = staged(project, {"prune": {"ratio": 0.1}}, {"prune": {"ratio": 0.3}})
    with pytest.raises(ConfigError, match="Several stages") as caught:
        key_path("ratio", config)
    assert "stages.0.prune.ratio, stages.1.prune.ratio" in str(caught.value)
