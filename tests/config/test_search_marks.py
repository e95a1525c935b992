"""`search:` in deploy.yaml: what it marks is checked as the file itself is."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapq.config import SearchRange
from snapq.config.reading import load
from snapq.config.reading.marked import plain, with_values
from snapq.errors import ConfigError

FILE = """\
name: net
model: {path: net.onnx}
devices: [sm8650]
stages:
  - prune: {ratio: 0.3}
  - quantize: {}
  - package: {}
search:
  MARK
"""


def written(folder: Path, mark: str) -> Path:
    path = folder / "deploy.yaml"
    path.write_text(FILE.replace("MARK", mark))
    return path


@pytest.mark.parametrize(
    ("mark", "key", "value"),
    [
        ("stages.prune.ratio: [null, 0.1]", "stages.prune.ratio", (None, 0.1)),
        ("stages.1.quantize.preset: [fast]", "stages.1.quantize.preset", ("fast",)),
        ('model.inputs."in.put": [[1, 3], [1, 4]]', 'model.inputs."in.put"', ([1, 3], [1, 4])),
        ("stages.prune.step: {low: 8, high: 32, step: 8}", "stages.prune.step", (8, 32, 8)),
        ("layers: [w8a8, w8a16]", "layers", ("w8a8", "w8a16")),
        ("resolution: [224, [192, 160]]", "resolution", (224, [192, 160])),
    ],
)
def test_lists_and_ranges_of_any_key_are_taken(
    tmp_path: Path, mark: str, key: str, value: tuple[object, ...]
) -> None:
    found = load(written(tmp_path, mark)).search[key]
    if isinstance(found, SearchRange):
        assert (found.low, found.high, found.step) == value
        assert found.whole
    else:
        assert found == value


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ("stages.prune.ratoi: [0.1]", "Did you mean `ratio`?"),
        ("stages.quantize.preset: [fast, blanced]", "Did you mean `balanced`?"),
        ("stages.finetune.lr: [0.1]", "no single entry `finetune`"),
        ("stagse.prune.ratio: [0.1]", "Did you mean `stages`?"),
        ("stages.prune.ratio: {low: 0.1, high: 1.5}", "1.5 is given"),
        ("stages.prune.ratio: {low: 0.5, high: 0.1}", "`low` is below `high`"),
        ("stages.prune.ratio: {low: 0, high: 1, log: true}", "`low` above 0"),
        ("stages.prune.ratio: {low: 0.1, high: 0.2, step: 1}", "larger than the range"),
        ("stages.prune.ratio: {lo: 0.1, high: 0.5}", "Did you mean `low`?"),
        ("stages.prune.ratio: []", "one or more"),
        ("stages.prune.ratio: [0.1, 0.1]", "there twice"),
        ("layers: [w8a8, w8a17]", "Did you mean `w8a16`?"),
        ("layers: {low: 1, high: 2}", "list of precisions"),
        ("resolution: [small]", "list of heights"),
        ("devices: [[sm8650]]", "nothing to search"),
    ],
)
def test_what_does_not_fit_is_told_with_file_line_and_a_hint(
    tmp_path: Path, mark: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, mark))
    assert said in str(caught.value)
    assert f"{tmp_path / 'deploy.yaml'}:9" in str(caught.value)


def test_a_value_that_is_null_leaves_the_key_out_and_a_stage_without_a_goal_too(
    tmp_path: Path,
) -> None:
    values = plain(load(written(tmp_path, "stages.prune.ratio: [null, 0.1]")))
    assert "search" not in values
    assert with_values(values, {"stages.prune.ratio": 0.1})["stages"][0] == {
        "prune": {"ratio": 0.1}
    }
    without = with_values(values, {"stages.prune.ratio": None, "stages.quantize.preset": "best"})
    assert without["stages"] == [{"quantize": {"preset": "best"}}, {"package": {}}]
    assert values["stages"][0] == {"prune": {"ratio": 0.3}}
