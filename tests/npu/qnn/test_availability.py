"""Whether the runtime is here, and what is said where it is not."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import onnxruntime_qnn
import pytest

from snapq.devices.profiles import DeviceProfile
from snapq.errors import InstallError
from snapq.npu.qnn import availability
from snapq.npu.qnn.estimate import estimate


def test_the_installed_runtime_is_whole_and_tested() -> None:
    found = availability.require()
    assert found.usable
    assert found.tested
    assert found.reason is None
    assert found.qairt == availability.TESTED[found.version or ""]


def test_without_the_package_it_says_what_to_install(
    w8a8_cnn: Path, qcs9075: DeviceProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime_qnn", None)
    assert not availability.status().installed
    with pytest.raises(InstallError, match="pip install onnxruntime-qnn"):
        estimate(w8a8_cnn, qcs9075)


def test_a_damaged_package_is_refused_with_the_missing_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in availability.required():
        if name != "libQnnHtp":
            availability.library(name, tmp_path).touch()
    monkeypatch.setattr(onnxruntime_qnn, "LIB_DIR_FULL_PATH", str(tmp_path))
    assert availability.status().missing == ("libQnnHtp",)
    with pytest.raises(InstallError, match="libQnnHtp missing"):
        availability.require()


def test_a_platform_without_the_runtime_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(InstallError, match="riscv64"):
        availability.require()


def test_an_untested_version_is_a_warning_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "TESTED", {"2.6.0": "2.50.0"})
    found = availability.require()
    assert not found.tested
    assert "not tested" in (found.reason or "")
