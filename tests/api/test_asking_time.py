"""The compiler is asked about a model for as long as a file of its size may take, and no longer."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import snapq
from snapq.limits import TIME_VARIABLE
from tests.pipeline.conftest import tiny_model


@pytest.mark.npu
def test_a_precision_for_which_no_time_is_left_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx.save(tiny_model(), tmp_path / "tiny.onnx")
    monkeypatch.setenv(TIME_VARIABLE, "1.4")
    found = snapq.inspect(tmp_path / "tiny.onnx", "qcs9075", inputs={"image": [1, 3, 32, 32]})
    assert [one.precision for one in found.placements] == ["fp16", "w8a8", "w8a16"]
    for one in found.placements:
        assert one.remark is not None
        assert "Not asked" in one.remark
        assert f"{TIME_VARIABLE}=3600" in one.remark
