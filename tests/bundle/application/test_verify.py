"""A bundle's own words: its README, and what verify.py says and the history takes of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import snapq
from snapq import api
from snapq.benchmarking.history.predicted import of_bundle
from snapq.bundle.deployment import BundleDeployment, read_deployment, write_deployment
from snapq.bundle.read import Bundle
from snapq.errors import ConfigError, StorageError
from snapq.records import Origin
from snapq.records.bench import BenchSubject

pytestmark = pytest.mark.npu


def verify(bundle: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-IB", bundle / "verify.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_bundle_says_what_it_takes_what_it_needs_and_what_to_ship(bundle: Path) -> None:
    text = (bundle / "README.md").read_text()
    opened = Bundle.open(bundle)
    assert "`image` | uint8 [1, 16, 16, 3] (channels last) | float32 [1, 3, 16, 16]" in text
    assert "the shorter side resized to 20" in text
    assert f"QAIRT {opened.manifest.devices[0].qairt}" in text
    assert "`devices/qcs9075/model_ctx.onnx` with `model_ctx_qnn.bin`" in text
    assert "`libQnnHtpV73Skel.so`" in text
    assert "### Windows" not in text  # no qcs9075 runs it
    listed = {file.path for file in opened.manifest.files}
    assert {"README.md", "verify.py", "include/snapq_model.h", "samples/main.cpp"} <= listed
    assert "samples/CMakeLists.txt" in listed
    for name in re.findall(r"^\| `([\w./]+)` \|", text.split("## Files")[1], re.MULTILINE):
        assert (bundle / name).exists(), name


def test_a_simulated_npu_gives_the_golden_data_and_no_times(bundle: Path, tmp_path: Path) -> None:
    done = verify(bundle, "--device", "qcs9075", "-o", tmp_path / "m.json")
    assert done.returncode == 0, done.stderr
    assert "1 nodes on the NPU, 0 on the CPU" in done.stdout
    assert "scores: bit-exact with the golden data, 2 samples." in done.stdout
    assert "Not timed" in done.stdout
    assert not (tmp_path / "m.json").exists()


def test_the_history_takes_a_measurement_once(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAPQ_HISTORY", str(tmp_path / "history.sqlite"))
    file, copy = tmp_path / "m.json", tmp_path / "copy"
    shutil.copytree(bundle, copy)
    told = BundleDeployment(deployment="tiny", given_sha256="ab" * 32, stage="package")
    write_deployment(copy, told)  # as a run does
    done = verify(copy, "--cpu", "--min-seconds", "0.05", "-o", file)
    assert done.returncode == 0, done.stderr
    (record,) = api.import_measurements([file])
    api.import_measurements([file])
    assert snapq.history() == (record,)
    assert api.import_measurements([file], copy) == (record,), "nothing is predicted of a CPU"
    other = record.model_copy(
        update={"model": record.model.model_copy(update={"sha256": "ab" * 32})}
    )
    with pytest.raises(ConfigError, match="is no file of this bundle"):
        of_bundle([other], copy)
    assert record.where is Origin.MEASURED
    assert record.model.label == "w8a8"
    assert record.placement.npu == 0
    assert record.latency_ms.n >= 100
    assert record.golden[0].output == "scores"
    assert "verify.py" in record.headline
    assert record.subject == BenchSubject(precision="w8a8", **dict(told))
    (copy / "deployment.json").write_text("{}")
    assert "not the file that the manifest describes" in verify(copy, "--cpu").stderr
    assert read_deployment(copy) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"seconds": 1e-9}, "the times add up to more than the measurement took"),
        ({"golden_samples": 9}, "outputs were not compared with all golden data"),
    ],
)
def test_what_cannot_be_is_no_claim(
    bundle: Path, tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    from snapq.benchmarking.history.imported import read_measurement

    value = measured(bundle, tmp_path)
    (tmp_path / "changed.json").write_text(json.dumps({**value, **change}))
    record = read_measurement(tmp_path / "changed.json")
    assert not record.valid.ok
    assert reason in record.valid.reasons


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": "snapq.verify/9"},
        {"label": "a\x1b[2J"},
        {"unknown": 1},
        {"processes": []},
        {"seconds": float("nan")},
        {"started_at": "yesterday"},
    ],
)
def test_a_file_that_is_no_measurement_is_refused(
    bundle: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    value = measured(bundle, tmp_path)
    (tmp_path / "changed.json").write_text(json.dumps({**value, **change}))
    with pytest.raises(StorageError, match=r"no measurement of verify\.py"):
        api.import_measurements([tmp_path / "changed.json"])


def test_a_changed_file_or_another_device_is_told(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    with (copy / "model.onnx").open("ab") as file:
        file.write(b"x")
    done = verify(copy, "--cpu")
    assert (done.returncode, done.stdout) == (2, "")
    assert "model.onnx is not the file that the manifest describes" in done.stderr
    assert verify(copy, "--device", "qcs9075").returncode == 0  # which does not use it
    done = verify(copy, "--device", "sm8650")
    assert done.returncode == 2
    assert "not compiled for sm8650; it is for qcs9075, qcs6490" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--min-seconds", "-1"), "--min-seconds is 0 to 3600"),
        (("--min-seconds", "nan"), "--min-seconds is 0 to 3600"),
        (("--repeats", "101"), "--repeats is 1 to 100"),
        (("-o", "nowhere/m.json"), "nowhere/m.json cannot be written"),
    ],
)
def test_what_the_history_would_not_take_is_refused_before_anything_runs(
    bundle: Path, words: tuple[str, str], said: str
) -> None:
    done = verify(bundle, "--cpu", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


_MEASURED: dict[Path, dict[str, object]] = {}


def measured(bundle: Path, folder: Path) -> dict[str, object]:
    """What verify.py wrote, measured once."""
    if bundle not in _MEASURED:
        done = verify(bundle, "--cpu", "--min-seconds", "0", "-o", folder / "m.json")
        assert done.returncode == 0, done.stderr
        _MEASURED[bundle] = json.loads((folder / "m.json").read_text())
    return _MEASURED[bundle]
