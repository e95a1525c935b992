"""The SSH transport against a real OpenSSH server."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from snapq.boards.transports.address import SshAddress
from snapq.boards.transports.base import Command, connect
from snapq.boards.transports.ssh_settings import settings_of
from snapq.errors import ConfigError, ConnectionLostError, DeviceError, HostKeyError
from tests.boards import sshd


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home of the host's user, with an empty `~/.ssh`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir(mode=0o700)
    return tmp_path / ".ssh"


def test_a_command_gives_its_output_its_errors_and_its_code(server: sshd.Sshd) -> None:
    with connect(server.address()) as board:
        done = board.run(Command(["sh", "-c", "cat; echo $HOME; echo bad >&2; exit 3"], b"in "))
    assert done.stdout.decode() == f"in {server.home}\n"
    assert (done.stderr, done.code) == (b"bad\n", 3)


def test_words_are_never_read_by_a_shell(server: sshd.Sshd) -> None:
    with connect(server.address()) as board:
        done = board.run(Command(["echo", "$HOME; ls `id` 'x' \\"]))
    assert done.stdout.decode() == "$HOME; ls `id` 'x' \\\n"


def test_a_file_goes_there_and_comes_back(server: sshd.Sshd, tmp_path: Path) -> None:
    data = os.urandom(300_000)
    (tmp_path / "file").write_bytes(data)
    there = str(server.home / "a name with 'quotes'")
    counted: list[int] = []
    with connect(server.address()) as board:
        board.put(data[:1000], there)
        board.put(tmp_path / "file", there, offset=1000, sent=counted.append)
        assert board.get(there, limit=300_000) == data
        with pytest.raises(DeviceError, match="more than 1000 bytes"):
            board.get(there, limit=1000)
    assert sum(counted) == len(data) - 1000


def test_a_file_that_cannot_be_written_is_named_with_the_reason(server: sshd.Sshd) -> None:
    there = str(server.home / "none" / "file")
    with connect(server.address()) as board, pytest.raises(DeviceError, match="No such file") as e:
        board.put(b"x", there)
    assert there in str(e.value)


def test_lines_are_told_as_they_come_and_a_silent_board_is_left(server: sshd.Sshd) -> None:
    lines: list[bytes] = []
    words = ["sh", "-c", "echo one; echo two; sleep 60"]
    with connect(server.address()) as board, pytest.raises(ConnectionLostError, match="nothing"):
        board.run(Command(words, on_line=lines.append, silence_s=1, timeout_s=None))
    assert lines == [b"one", b"two"]


def test_a_board_that_sends_without_end_is_stopped(server: sshd.Sshd) -> None:
    command = Command(["head", "-c", "1000000000", "/dev/zero"], on_line=lambda _: None)
    with connect(server.address()) as board, pytest.raises(DeviceError, match="without end"):
        board.run(command)


def test_a_command_that_takes_too_long_ends_with_its_connection(server: sshd.Sshd) -> None:
    marker = server.home / "still running"
    script = f"while cat >/dev/null; do break; done; sleep 2; touch '{marker}'"
    with connect(server.address()) as board:
        started = time.monotonic()
        with pytest.raises(DeviceError, match="did not finish"):
            board.run(Command(["sh", "-c", script], beat=b"\n", timeout_s=1))
        assert time.monotonic() - started < 5


def test_an_unknown_host_is_refused_with_the_command_that_accepts_it(
    server: sshd.Sshd, at_home: Path
) -> None:
    address = SshAddress("127.0.0.1", sshd.user(), server.port, server.key)
    with pytest.raises(HostKeyError, match=r"not known.*SHA256:") as refused:
        connect(address)
    accept = str(refused.value.hint).partition("then accept it: ")[2]
    assert os.system(accept) == 0
    connect(address).close()


def test_a_changed_host_key_is_refused_until_the_old_one_is_forgotten(
    server: sshd.Sshd, at_home: Path
) -> None:
    other = sshd.make_key(at_home / "other").with_suffix(".pub").read_text().split()
    known = at_home / "known_hosts"
    known.write_text(f"[127.0.0.1]:{server.port} {other[0]} {other[1]}\n")
    address = SshAddress("127.0.0.1", sshd.user(), server.port, server.key)
    with pytest.raises(HostKeyError, match=r"CHANGED.*SHA256:") as refused:
        connect(address)
    assert os.system(str(refused.value.hint).partition("changed: ")[2]) == 0
    connect(address).close()


ODD_LINES = (
    b"# a comment\n\n@cert-authority *.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==\n"
    b"\xff\xfe odd ssh-ed25519\n127.0.0.1\nhost ssh-ed25519 not/base64!\n"
    b"|1|c2FsdA==|x ssh-rsa AAAA\n"
    b"[127.0.0.1]:* ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==\n@revoked * ssh-ed25519 AAAA\n"
)


def test_odd_lines_of_known_hosts_stop_nothing(server: sshd.Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_bytes(ODD_LINES + server.known_hosts.read_bytes())
    connect(replace(server.address(), known_hosts=known)).close()


def test_a_host_is_known_by_wildcards_hashes_and_a_second_key(
    server: sshd.Sshd, tmp_path: Path
) -> None:
    known = tmp_path / "known_hosts"
    _, kind, key = server.known_hosts.read_text().splitlines()[0].split()
    other = sshd.make_key(tmp_path / "other").with_suffix(".pub").read_text().split()[1]
    lines = server.known_hosts.read_text()
    known.write_text(f"[127.0.0.*]:{server.port} {kind} {key}\n")
    connect(replace(server.address(), known_hosts=known)).close()
    known.write_text(f"[127.0.0.1]:{server.port} {kind} {other}\n{lines}")
    connect(replace(server.address(), known_hosts=known)).close()
    known.write_text(lines)
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", known], check=True, capture_output=True)
    assert "127.0.0.1" not in known.read_text()
    connect(replace(server.address(), known_hosts=known)).close()
    known.write_text(f"!{lines.split()[0]},* {kind} {key}\n")
    with pytest.raises(HostKeyError, match="not known"):
        connect(replace(server.address(), known_hosts=known))


def test_a_revoked_host_key_is_refused(server: sshd.Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    line = server.known_hosts.read_text().splitlines()[0]
    known.write_text(f"{line}\n@revoked * {line.partition(' ')[2]}\n")
    with pytest.raises(HostKeyError, match="revoked"):
        connect(replace(server.address(), known_hosts=known))


def test_a_wrong_key_is_told_with_what_was_tried(server: sshd.Sshd, at_home: Path) -> None:
    wrong = sshd.make_key(at_home / "wrong")
    address = SshAddress("127.0.0.1", sshd.user(), server.port, wrong, server.known_hosts)
    with pytest.raises(DeviceError, match=r"does not let user .* in\. Tried: key .*wrong"):
        connect(address)


def test_a_locked_key_opens_with_the_passphrase_of_the_environment(
    server: sshd.Sshd, at_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = sshd.make_key(at_home / "locked", "a secret")
    with (server.folder / "authorized_keys").open("a") as file:
        file.write(locked.with_suffix(".pub").read_text())
    address = SshAddress("127.0.0.1", sshd.user(), server.port, locked, server.known_hosts)
    monkeypatch.setenv("SNAPQ_SSH_PASSPHRASE", "wrong")
    with pytest.raises(DeviceError, match="does not let"):
        connect(address)
    monkeypatch.setenv("SNAPQ_SSH_PASSPHRASE", "a secret")
    connect(address).close()


def test_the_users_ssh_config_is_obeyed_jump_hosts_included(
    server: sshd.Sshd, at_home: Path
) -> None:
    common = (
        f"User {sshd.user()}\nHostName 127.0.0.1\nPort {server.port}\nIdentityFile {server.key}\n"
        f"UserKnownHostsFile {server.known_hosts}\n"
    )
    (at_home / "config").write_text(f"Host gate\n{common}\nHost Bench-1\nProxyJump gate\n{common}")
    with connect(SshAddress.parse("ssh://Bench-1")) as board:
        assert board.run(Command(["echo", "here"])).stdout == b"here\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ssh://127.0.0.1:1", "Nothing listens"),
        ("ssh://no-such-host.invalid", "No host is called"),
        ("ssh://0.0.0.1", "route|answer|No SSH|Invalid"),
    ],
)
def test_where_there_is_no_way_the_reason_is_told(text: str, expected: str, at_home: Path) -> None:
    with pytest.raises(DeviceError, match=expected):
        connect(SshAddress.parse(text))


@pytest.mark.parametrize(
    "text", ["ssh://", "http://host", "ssh://host/path", "ssh://-oProxyCommand=x", "ssh://a b", "x"]
)
def test_what_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not an"):
        SshAddress.parse(text)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="must not hold a password") as refused:
        SshAddress.parse("ssh://root:hunter2@board")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("cut_after", [10, 1_000, 3_000, 100_000])
def test_a_cut_cable_is_one_clear_error(server: sshd.Sshd, cut_after: int) -> None:
    with sshd.Cable(server.port, cut_after) as cable:
        server.know(cable.port)
        with pytest.raises(DeviceError), connect(server.address(cable.port)) as board:
            board.put(os.urandom(1_000_000), str(server.home / "cut"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ConnectTimeout soon", "ConnectTimeout is 'soon'"),
        ("ConnectTimeout -1", "ConnectTimeout is '-1'"),
        ("ConnectTimeout nan", "ConnectTimeout is 'nan'"),
        ("Port twenty-two", "Port is 'twenty-two'"),
        ("Port 99999999999999", "Port is"),
        ("Port \u00b2", "Port is"),
        ("Match exec", "cannot be understood"),
    ],
)
def test_a_setting_that_ssh_does_not_take_is_named(line: str, words: str, at_home: Path) -> None:
    (at_home / "config").write_text(f"Host board\n  {line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        settings_of(SshAddress.parse("ssh://board"))


def test_a_timeout_may_be_written_in_words(at_home: Path) -> None:
    (at_home / "config").write_text("Host board\n  ConnectTimeout 1m30s\n")
    assert settings_of(SshAddress.parse("ssh://board")).connect_timeout_s == 90
