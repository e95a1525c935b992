"""adb reaches a board with a real adbd, one inside of the emulated board, as SSH does."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from snapq.benchmarking.targets.base import Candidate
from snapq.benchmarking.targets.resolve import resolve_target
from snapq.boards.emulator.lifecycle import EmulatedBoard
from snapq.boards.transports.adb import AdbTransport
from snapq.boards.transports.address import (
    AdbAddress,
    SshAddress,
    parse,
)
from snapq.boards.transports.base import Command
from snapq.config import BenchmarkConfig
from snapq.errors import ConfigError, ConnectionLostError, DeviceError, InstallError
from snapq.records import Origin
from tests.boards.emulator.small_model import feeds

pytestmark = pytest.mark.skipif(shutil.which("adb") is None, reason="there is no adb")


@pytest.fixture(scope="module")
def address(board: EmulatedBoard) -> AdbAddress:
    return AdbAddress(f"127.0.0.1:{board.adb_port}")


def test_a_command_keeps_its_words_its_outputs_apart_and_its_exit_code(address: AdbAddress) -> None:
    with AdbTransport(address) as transport:
        done = transport.run(Command(["sh", "-c", 'echo "$1"; echo b >&2; exit 3', "x", "a  'a"]))
    assert (done.code, done.stdout, done.stderr) == (3, b"a  'a\n", b"b\n")


def test_files_arrive_byte_by_byte_and_a_cut_one_goes_on(address: AdbAddress) -> None:
    data = bytes(range(256)) * 4000
    sent: list[int] = []
    with AdbTransport(address) as transport:
        transport.put(data[:300_000], "/tmp/file", sent=sent.append)
        transport.put(data, "/tmp/file", offset=300_000, sent=sent.append)
        assert hashlib.sha256(transport.get("/tmp/file", limit=len(data))).digest() == (
            hashlib.sha256(data).digest()
        )
        assert sum(sent) == len(data)
        with pytest.raises(DeviceError, match="more than 10 bytes"):
            transport.get("/tmp/file", limit=10)
        with pytest.raises(DeviceError, match="cannot write"):
            transport.put(b"x", "/proc/nowhere")


def test_a_command_that_hangs_or_falls_silent_is_ended(address: AdbAddress) -> None:
    with AdbTransport(address) as transport:
        with pytest.raises(DeviceError, match="did not finish within"):
            transport.run(Command(["sleep", "1000"], timeout_s=1))
        with pytest.raises(ConnectionLostError, match="said nothing"):
            transport.run(Command(["sleep", "1000"], timeout_s=None, silence_s=1))


def test_a_model_is_measured_over_adb_and_the_figure_knows_that_it_is_emulated(
    address: AdbAddress, small_model: Path
) -> None:
    protocol = BenchmarkConfig(warmup=1, min_runs=2, min_duration_s=0, repeats=1)
    target = resolve_target(str(address))
    record = target.measure([Candidate("float", small_model, next(feeds(1)))], protocol).records[0]
    assert record.target.transport == "adb"
    assert record.where == Origin.EMULATED
    assert record.instructions is not None


def test_a_device_that_is_not_there_is_named_with_a_mend() -> None:
    with pytest.raises(DeviceError, match=r"adb://127\.0\.0\.1:9.*cannot be used"):
        AdbTransport(AdbAddress("127.0.0.1:9"))


def test_the_server_is_private_listens_on_loopback_and_ends_with_its_program(
    address: AdbAddress,
) -> None:
    program = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\n"
            "from snapq.boards.transports.adb import AdbTransport\n"
            "from snapq.boards.transports.address import AdbAddress\n"
            f"AdbTransport(AdbAddress({address.serial!r}))\n"
            "print('ready', flush=True)\n"
            "time.sleep(60)\n",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    started = psutil.Process(program.pid).children(recursive=True)
    server = next(one for one in started if one.name() == "adb")
    listens = {c.laddr.ip for c in server.net_connections() if c.status == psutil.CONN_LISTEN}
    assert listens == {"127.0.0.1"}
    program.kill()
    program.wait()
    end = time.monotonic() + 20
    while server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_android_without_python_is_told_as_what_it_is(address: AdbAddress, tmp_path: Path) -> None:
    with AdbTransport(address) as transport:
        script = b"#!/bin/sh\necho 14\n"
        transport.put(script, "/usr/local/bin/getprop")
        transport.run(Command(["chmod", "755", "/usr/local/bin/getprop"]))
        try:
            with pytest.raises(InstallError, match=r"Android 14, which has no python3\.99"):
                transport.run(Command(["python3.99", "-c", "pass"]))
        finally:
            transport.run(Command(["rm", "/usr/local/bin/getprop"]))


def test_without_adb_the_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
    with pytest.raises(InstallError, match="sudo apt install adb"):
        AdbTransport(AdbAddress("0123456789ABCDEF"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("adb://0123ABCdef", AdbAddress("0123ABCdef")),
        ("adb://192.168.1.5:5555", AdbAddress("192.168.1.5:5555")),
        ("ssh://root@board", SshAddress("board", "root")),
    ],
)
def test_an_address_is_read(text: str, found: AdbAddress | SshAddress) -> None:
    assert parse(text) == found


@pytest.mark.parametrize("text", ["adb://", "adb://a b", "adb://-s", "adb://a;reboot", "adb://a/b"])
def test_what_is_no_serial_number_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not an address of adb"):
        parse(text)
