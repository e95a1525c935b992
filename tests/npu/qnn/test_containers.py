"""DLC files and containers for several SoCs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from snapq.devices.profiles import DeviceProfile, find
from snapq.errors import ConfigError, QnnError
from snapq.npu.qnn import containers
from snapq.npu.qnn.binary import inspect_binary, inspect_container
from snapq.npu.qnn.dlc import export_dlc
from snapq.npu.qnn.multi_soc import compile_multi_soc
from snapq.npu.qnn.options import CompileOptions
from snapq.npu.qnn.simulate import simulate
from tests.npu.qnn import models

TIME = re.compile(rb"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d")


def test_a_container_holds_a_binary_for_each_device_in_the_same_bytes_every_time(
    w8a8_cnn: Path, sm8650: DeviceProfile, qcs9075: DeviceProfile, tmp_path: Path
) -> None:
    devices = (sm8650, qcs9075, find("qcs6490"))
    first, second = (
        compile_multi_soc(w8a8_cnn, devices, tmp_path / name) for name in ("first", "second")
    )
    (container,) = first.parent.glob("*.bin")
    held = {(i.soc_id, i.architecture, i.vtcm_mb) for i in inspect_container(container)}
    assert held == {(d.soc_id, d.architecture, d.vtcm_mb) for d in devices}
    assert container.read_bytes() == (second.parent / container.name).read_bytes()
    assert first.read_bytes() == second.read_bytes()
    with pytest.raises(QnnError, match="container"):
        inspect_binary(container)
    with pytest.raises(QnnError, match="cannot load a container"):
        simulate(first, sm8650, models.samples(1))


def test_a_container_needs_several_devices_that_can_all_run_the_model(
    w8a8_cnn: Path, float_cnn: Path, sm8650: DeviceProfile, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="at least two different"):
        compile_multi_soc(w8a8_cnn, (sm8650, sm8650), tmp_path / "out")
    with pytest.raises(Exception, match="16-bit floating point"):
        compile_multi_soc(
            float_cnn, (sm8650, find("qcs6490")), tmp_path / "out", CompileOptions(fp16=True)
        )
    assert not (tmp_path / "out").exists()


def test_a_dlc_is_one_file_with_the_model_and_no_time_of_day(
    w8a8_cnn: Path, sm8650: DeviceProfile, tmp_path: Path
) -> None:
    first = export_dlc(w8a8_cnn, sm8650, tmp_path / "first.dlc")
    second = export_dlc(w8a8_cnn, sm8650, tmp_path / "second.dlc")
    assert {part.name for part in containers.parts(first)} >= {"model", "model.params"}
    assert first.read_bytes() == second.read_bytes()
    assert not TIME.search(first.read_bytes())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.dlc", "second.dlc"]


def test_what_is_no_container_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.dlc").write_bytes(b"PK\x03\x04 but not really")
    with pytest.raises(QnnError, match="is damaged"):
        containers.parts(tmp_path / "no.dlc")
