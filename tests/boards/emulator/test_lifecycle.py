"""Emulated boards start, answer under their own host key, and leave nothing behind."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from snapq.boards.emulator import (
    lifecycle,
    packages,
    recipe,
    tools,
)
from snapq.boards.emulator.image import build
from snapq.boards.emulator.lifecycle import EmulatedBoard, Options
from snapq.boards.emulator.qemu import Process
from snapq.errors import ConfigError, DeviceError, InstallError, StorageError
from snapq.home import CACHE_VARIABLE
from snapq.progress import Silent

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def snapq(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "snapq", "board", "emulate", *words],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_shell_opens_on_an_aarch64_board_whose_host_key_was_known(board: EmulatedBoard) -> None:
    done = snapq("shell", board.name, "--", "uname", "-n", "-m")
    assert (done.returncode, done.stdout.split()) == (0, [board.name, "aarch64"])


def test_the_exit_code_and_the_words_of_a_command_pass_through(board: EmulatedBoard) -> None:
    done = snapq("shell", board.name, "--", "sh", "-c", "echo 'a  b'; exit 7")
    assert (done.returncode, done.stdout) == (7, "a  b\n")


def test_everything_on_the_board_belongs_to_root(board: EmulatedBoard) -> None:
    done = snapq("shell", board.name, "--", "find", "/", "-xdev", "!", "-user", "root")
    assert (done.returncode, done.stdout) == (0, "")


def test_the_board_reaches_nothing_outside(board: EmulatedBoard) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        snapq("shell", board.name, "--", "nc", "-w", "2", "10.0.2.2", str(port))
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_name_that_runs_is_not_started_twice(board: EmulatedBoard) -> None:
    with pytest.raises(DeviceError, match=f"emulate stop {board.name}"):
        lifecycle.start(board.name, Options(), Silent())


def test_a_second_board_runs_beside_the_first_and_stops_without_a_trace(
    board: EmulatedBoard,
) -> None:
    name = f"{board.name}-second"
    done = snapq("start", name)
    assert done.returncode == 0, done.stderr
    second = lifecycle.find(name)
    assert second is not None
    assert {one.name for one in lifecycle.status()} >= {board.name, name}

    assert snapq("stop", name).returncode == 0
    assert second.process.alive() is None
    assert not list(second.folder.parent.glob(f"{name}*"))
    assert board.running


def test_a_board_dies_with_the_program_that_started_it_for_itself(
    board: EmulatedBoard, tmp_path: Path
) -> None:
    name = f"{board.name}-orphan"
    starter = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys\n"
            "from snapq.boards.emulator import lifecycle\n"
            "from snapq.progress import Silent\n"
            f"lifecycle.start({name!r}, lifecycle.Options(), Silent(), attached=True)\n",
        ]
    )
    orphan = _wait_for(name)
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    _wait_until_gone(orphan.process)

    shown = snapq("status").stdout
    assert f"{name}: ended without being stopped" in shown
    assert snapq("stop", name).returncode == 0
    assert name not in snapq("status").stdout


def test_ctrl_c_while_a_board_boots_leaves_nothing(board: EmulatedBoard) -> None:
    name = f"{board.name}-interrupted"
    starter = subprocess.Popen(
        [sys.executable, "-m", "snapq", "board", "emulate", "start", name],
        stderr=subprocess.PIPE,
        text=True,
    )
    booting = _wait_for(name)
    starter.send_signal(signal.SIGINT)
    _, said = starter.communicate(timeout=30)
    assert starter.returncode == 130, said
    assert booting.process.alive() is None
    assert not booting.folder.exists()


def test_a_board_of_another_version_is_stopped_too(emulator_cache: None) -> None:
    sleeper = subprocess.Popen(["sleep", "60"])
    folder = lifecycle.boards_folder() / f"older-{sleeper.pid}"
    folder.mkdir(parents=True)
    record = {"name": folder.name, "process": asdict(Process.of(sleeper.pid))}
    (folder / "board.json").write_text(json.dumps(record))
    assert lifecycle.stop(folder.name)
    assert not psutil.pid_exists(sleeper.pid)
    assert not folder.exists()


def test_a_process_that_took_over_the_number_of_a_board_is_left_alone() -> None:
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        now = Process.of(sleeper.pid)
        assert now.alive() is not None
        earlier = replace(now, started=now.started - 60)
        assert earlier.alive() is None
        earlier.end()
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "a" * 64, "a b", "a\n"])
def test_a_name_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="no name of a board"):
        lifecycle.find(name)


def test_missing_programs_are_named_together_with_their_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("snapq.boards.emulator.tools.search_path", lambda: str(tmp_path))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(InstallError, match="sudo apt install qemu-system-arm"):
        lifecycle.start("board", Options(), Silent())
    with pytest.raises(InstallError, match="sudo apt install apt dpkg e2fsprogs"):
        build(recipe.recipe(), Silent())


@pytest.mark.skipif(not KEYRING.is_file(), reason="Debian's keys are not installed")
def test_a_mirror_out_of_reach_is_named_and_nothing_half_built_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(packages.MIRROR_VARIABLE, "http://127.0.0.1:9/debian")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(InstallError, match=r"127\.0\.0\.1:9/debian.*SNAPQ_DEBIAN_MIRROR"):
        build(recipe.recipe(bare=True), Silent())
    assert [p.suffix for p in (tmp_path / "emulator" / "images").iterdir()] == [".lock"]


def test_a_cache_that_cannot_be_written_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(StorageError, match="file"):
        build(recipe.recipe(bare=True), Silent())


def _wait_for(name: str) -> EmulatedBoard:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = lifecycle.find(name)
        if found is not None:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{name} never started")


def _wait_until_gone(process: Process) -> None:
    end = time.monotonic() + 20
    while process.alive() is not None:
        assert time.monotonic() < end, f"{process} still runs"
        time.sleep(0.05)


@pytest.mark.parametrize(
    "said",
    [
        "E: You don't have enough free space in /cache/archives/.",
        "tar: ./usr/bin/perl: Cannot write: No space left on device",
        "mke2fs: Could not allocate block in ext2 filesystem while populating file system",
    ],
)
def test_a_full_disk_is_told_as_one_whichever_program_meets_it(said: str) -> None:
    error = tools.failure("building", said, "hint")
    assert isinstance(error, StorageError)
    assert "SNAPQ_CACHE" in str(error)
