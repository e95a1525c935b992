"""`snapq doctor` says what works here, and what mends the rest."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from snapq.api.doctor import TESTED_VERSIONS, checks


@pytest.mark.npu
def test_on_this_machine_everything_is_there_and_really_runs() -> None:
    found = {check.name: check for check in checks()}
    broken = [check for check in found.values() if not check.ok]
    assert broken == []
    assert {"NPU simulator", "performance estimate", "telemetry", "onnx"} <= set(found)
    assert found["telemetry"].found.startswith("off")


def test_what_is_wrong_comes_with_its_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.yaml").write_text("name: [")
    monkeypatch.setenv("SNAPQ_DEVICE_PROFILES", str(tmp_path))
    found = {check.name: check for check in checks()}
    assert not found["device profiles"].ok
    assert "broken.yaml" in found["device profiles"].found
    assert found["device profiles"].hint


def test_the_tested_versions_are_those_of_what_snapq_requires() -> None:
    pinned = TESTED_VERSIONS.read_text(encoding="utf-8")
    requirements = metadata.requires("snapq")
    assert requirements
    for requirement in requirements:
        name = requirement.partition(">")[0].strip()
        assert f"\n{name}==" in pinned
