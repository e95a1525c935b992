"""What the profiles say against what the compiler makes of them; one chip an architecture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from snapq.devices.profiles import find
from snapq.errors import QnnError
from snapq.npu.qnn.binary import inspect_binary
from snapq.npu.qnn.options import CompileOptions
from tests.npu.compiling import compile_context

pytestmark = pytest.mark.npu

CHIPS = ("qcs6490", "sm8450", "qcs9075", "sm8650", "sm8750", "sm8850", "sm8975")


@pytest.mark.parametrize("name", CHIPS)
def test_a_chip_compiles_for_the_architecture_of_its_profile(
    name: str, bytes_model: Path, tmp_path: Path
) -> None:
    device = find(name)
    compiled = compile_context(bytes_model, device, tmp_path / "out")
    found = inspect_binary(compiled.binaries[0])
    assert (found.soc_id, found.architecture) == (device.soc_id, device.architecture)
    assert (compiled.estimate is not None) == device.has_estimate


def test_of_two_chips_of_one_architecture_one_compiles_fp16_and_one_does_not(
    float_model: Path, tmp_path: Path
) -> None:
    able, unable = find("sm8350"), find("qcs6490")
    assert able.architecture == unable.architecture
    assert "fp16" in able.precisions
    assert "fp16" not in unable.precisions
    fp16 = CompileOptions(fp16=True)
    compile_context(float_model, able, tmp_path / "able", fp16)
    believed = replace(unable, precisions=able.precisions)
    with pytest.raises(QnnError):
        compile_context(float_model, believed, tmp_path / "unable", fp16)
