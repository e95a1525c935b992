"""What snapq does where something is missing (Qualcomm's runtime, disk space), or ends it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from snapq.cli import app

pytestmark = pytest.mark.slow

NO_PACKAGE = "  - package: {golden_samples: 2}\n"
# A command that is interrupted where Python drops exceptions, and works on for a minute.
DROPPED = """
import os, signal, sys, time
from snapq.cli.app import app
from snapq.cli.main import main

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.{signal})
        time.sleep(0.2)

@app.command()
def work():
    Finalized()
    time.sleep(60)

sys.argv[1:] = ["work"]
main()
"""
# A command that is interrupted within an import, as a library in C++ that aborts would be.
IMPORTING = """
import os, signal, sys, time
from snapq.cli.app import app
from snapq.cli.main import main

@app.command()
def work():
    import slow
    time.sleep(60)

sys.argv[1:] = ["work"]
main()
"""
SLOW = """
import os, signal, sys, time
os.kill(os.getpid(), signal.SIGINT)
time.sleep(0.3)
sys.stderr.write("imported\\n")
"""
IN_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")


def snapq(project: Path, *arguments: str, path: Path | None = None) -> tuple[int, str]:
    """Runs the command line in `project`; modules in `path` hide the installed ones."""
    environment = dict(os.environ)
    if path is not None:
        found = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(path), found)))
    done = subprocess.run(
        [sys.executable, "-m", "snapq", *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def no_qnn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH in which onnxruntime-qnn is as good as not installed."""
    folder = tmp_path_factory.mktemp("path")
    (folder / "onnxruntime_qnn.py").write_text("raise ImportError('not installed')\n")
    return folder


def test_without_qualcomms_runtime_a_package_is_refused_at_once(
    project: Path, no_qnn: Path
) -> None:
    code, output = snapq(project, "run", "deploy.yaml", path=no_qnn)
    assert code == 2
    assert "pip install onnxruntime-qnn" in output
    assert "Stage" not in output
    assert not list((project / "runs").glob("tiny/*"))


def test_without_qualcomms_runtime_the_rest_runs_on_the_cpu(project: Path, no_qnn: Path) -> None:
    text = (project / "deploy.yaml").read_text().replace(NO_PACKAGE, "")
    (project / "deploy.yaml").write_text(text.replace("npu_nodes: all, ", ""))
    code, output = snapq(project, "run", "deploy.yaml", "--output", "out", path=no_qnn)
    assert code == 0, output
    record = json.loads((project / "out" / "run.json").read_text())
    assert {figure["where"] for figure in (*record["accuracy"], *record["fidelity"])} == {"host"}
    assert any("onnxruntime-qnn" in note for note in record["notes"])
    for command in (("validate", "deploy.yaml"), ("plan", "deploy.yaml"), ("devices",)):
        assert snapq(project, *command, path=no_qnn)[0] == 0
    code, output = snapq(project, "doctor", "--json", path=no_qnn)
    assert code == 2
    assert "pip install onnxruntime-qnn" in output


@pytest.mark.npu
@pytest.mark.parametrize("kilobytes", [32, 800])
def test_a_full_disk_is_one_clear_error_and_leaves_no_run(project: Path, kilobytes: int) -> None:
    disk = project / "disk"
    disk.mkdir()
    script = (
        f'mount -t tmpfs -o size={kilobytes}k none "$1" && '
        'cd "$2" && "$3" -m snapq run deploy.yaml --runs "$1/runs"; code=$?; '
        'find "$1" -type f -path "*/tiny/*" -o -name ".tmp-*"; exit $code'
    )
    done = subprocess.run(
        [*IN_NAMESPACE, "sh", "-c", script, "sh", str(disk), str(project), sys.executable],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no file system of our own can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "error:" in done.stderr
    assert "disk space" in done.stderr
    assert "Traceback" not in done.stderr
    left = [Path(line).name for line in done.stdout.splitlines() if line.startswith(str(disk))]
    assert set(left) <= {"log.txt", "error.json"}


def test_what_a_full_temporary_folder_left_undone_is_done_by_the_next_run(project: Path) -> None:
    text = (project / "deploy.yaml").read_text()
    start, end = text.index("stages:"), text.index("gates:")
    (project / "deploy.yaml").write_text(text[:start] + "stages: [{quantize: {}}]\ngates: {}\n")
    assert end > start
    disk = project / "disk"
    disk.mkdir()
    script = (
        'mount -t tmpfs -o size=64k none "$1" && cd "$2" && '
        'TMPDIR="$1" "$3" -m snapq run deploy.yaml --json'
    )
    command = [*IN_NAMESPACE, "sh", "-c", script, "sh", str(disk), str(project), sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no file system of our own can be mounted here: {done.stderr.strip()}")
    assert "some SoCs only" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "snapq", "run", "deploy.yaml", "--json"],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    (quantized,) = [s for s in json.loads(done.stdout)["stages"] if s["name"] == "quantize"]
    assert quantized["cached"] is False
    assert quantized["details"]["never_slower"]["fp16_cycles"] > 0


def test_a_read_only_folder_is_one_clear_error(project: Path) -> None:
    script = (
        'mount -t tmpfs none "$1" && mount -o remount,ro "$1" && '
        'cd "$2" && exec "$3" -m snapq run deploy.yaml --runs "$1/runs"'
    )
    disk = project / "disk"
    disk.mkdir()
    done = subprocess.run(
        [*IN_NAMESPACE, "sh", "-c", script, "sh", str(disk), str(project), sys.executable],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no file system of our own can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "read-only" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
def test_an_interrupt_that_python_drops_is_raised_again(signal: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DROPPED.format(signal=signal)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 130
    assert done.stderr.strip() == app.INTERRUPTED


def test_an_interrupt_waits_for_the_end_of_an_import(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    done = subprocess.run(
        [sys.executable, "-c", IMPORTING],
        env={
            **os.environ,
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 130
    assert done.stderr.split("\n")[0] == "imported"
    assert app.INTERRUPTED in done.stderr
