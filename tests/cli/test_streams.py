"""What the program says and how it ends where its streams, its home or its folder are odd."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from snapq.cli import app
from tests.cli.test_environment import DROPPED

pytestmark = pytest.mark.slow

SNAPQ = (sys.executable, "-m", "snapq")
UNKNOWN_USER = (
    *("unshare", "--user", "--map-user=54321", "env", "-u", "HOME", "-u", "LOGNAME"),
    *("-u", "SNAPQ_HISTORY"),
)
MODEL_NAMED = """
from snapq.cli.output.errors import report_error
from snapq.cli.output.tables import show_table
from snapq.errors import ModelError
name = "conv\\x1b]0;owned\\x07\\u202e"
show_table("Nodes", ["name"], [[name]])
report_error(ModelError(f"The node {name} is odd.", where=name))
"""


def shell(line: str, *, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a line of bash, in which `$SNAPQ` is the program."""
    return subprocess.run(
        ["bash", "-c", f'snapq() {{ "{sys.executable}" -m snapq "$@"; }}; {line}'],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("snapq devices | true; exit ${PIPESTATUS[0]}", 0),
        ("snapq validate ghost.yaml --json | true; exit ${PIPESTATUS[0]}", 2),
        ("snapq devices >&-", 0),
        ("snapq validate ghost.yaml >&- 2>&-", 2),
        ("snapq devices <&- >&- 2>&-", 0),
        ("snapq validate ghost.yaml 2>/dev/full", 2),
    ],
)
def test_the_exit_code_is_right_also_when_nobody_reads(line: str, code: int) -> None:
    assert shell(line).returncode == code


def test_output_that_is_lost_on_a_full_disk_is_told() -> None:
    done = shell("snapq devices >/dev/full")
    assert done.returncode == 2
    assert done.stderr == "error: standard output: No space left on device.\n"


def test_json_is_json_in_a_terminal_of_few_letters(tmp_path: Path) -> None:
    done = shell("LC_ALL=C PYTHONIOENCODING=ascii snapq validate é.yaml --json", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout.isascii()
    assert json.loads(done.stdout)["error"]["where"] == "é.yaml"


def test_a_no_break_space_is_a_space_in_a_terminal_of_few_letters() -> None:
    code = """
from snapq.cli import streams
streams.prepare()
print("21\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}ms, caf\u00e9", flush=True)
"""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert done.stdout == b"21  ms, caf\\xe9\n"


@pytest.mark.parametrize("arguments", ["frobnicate", "--frobnicate", "plan --frobnicate", "plan"])
def test_a_wrong_use_is_json_where_json_is_asked_for(arguments: str) -> None:
    done = shell(f"snapq {arguments} --json")
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert error["kind"] == "UsageError"
    assert error["hint"].endswith("--help")


def test_in_a_folder_that_is_gone_there_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    done = shell("cd gone; rmdir ../gone; snapq plan deploy.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "The working directory has been deleted" in done.stderr


def test_a_user_with_neither_name_nor_home_can_work(tmp_path: Path) -> None:
    words = (*UNKNOWN_USER, *SNAPQ)
    listed = subprocess.run([*words, "devices"], capture_output=True, text=True, check=False)
    if "unshare" in listed.stderr:
        pytest.skip(f"no user of another number can be had here: {listed.stderr.strip()}")
    assert listed.returncode == 0, listed.stderr
    done = subprocess.run(
        [*words, "devices", "probe", "ssh://ada@127.0.0.1:1"], capture_output=True, text=True
    )
    assert "Nothing listens" in done.stderr
    done = subprocess.run([*words, "history"], capture_output=True, text=True)
    assert (done.returncode, "SNAPQ_HISTORY" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "variable", ["PYTHONOPTIMIZE=2", "TMPDIR=/nonexistent", "HOME=/nonexistent"]
)
def test_odd_variables_change_nothing(variable: str, project: Path) -> None:
    done = shell(f"{variable} snapq plan deploy.yaml --json", cwd=project)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["name"] == "tiny"


def test_names_of_a_model_cannot_control_the_terminal() -> None:
    done = subprocess.run([sys.executable, "-c", MODEL_NAMED], capture_output=True, text=True)
    for said in (done.stdout, done.stderr):
        assert r"conv\x1b]0;owned\x07\u202e" in said
        assert all(character.isprintable() or character == "\n" for character in said)


def test_a_closed_terminal_ends_a_command_as_ctrl_c_does() -> None:
    code = f"import signal\nsignal.signal(signal.SIGHUP, signal.SIG_DFL)\n{DROPPED}"
    words = [sys.executable, "-c", code.format(signal="SIGHUP")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 130
    assert done.stderr.strip() == app.INTERRUPTED


def test_nohup_is_obeyed() -> None:
    code = (
        "import os, signal\nfrom snapq.cli.interrupts import listen\nlisten()\n"
        "os.kill(os.getpid(), signal.SIGHUP)\nprint('goes on')"
    )
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert done.stdout == "goes on\n"


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "deploy.yaml").write_text(
        "name: a\nmodel: {path: m.onnx}\ndevices: [qcs9075]\nstages: [{quantize: {}}]\n"
    )
    done = subprocess.run([*SNAPQ, "plan", folder / "deploy.yaml"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "error: " in done.stderr
