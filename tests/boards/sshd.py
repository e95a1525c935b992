"""A real OpenSSH server on loopback, and a cable to it that can be cut."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from snapq.boards.transports.address import SshAddress

PROGRAM = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:" + os.environ.get("PATH", ""))


@dataclass(frozen=True)
class Sshd:
    """A server that is running."""

    folder: Path
    port: int

    @property
    def home(self) -> Path:
        """Home directory of who logs in."""
        return self.folder / "home"

    @property
    def key(self) -> Path:
        """The private key that is let in."""
        return self.folder / "user_key"

    @property
    def known_hosts(self) -> Path:
        """A file with the server's host key."""
        return self.folder / "known_hosts"

    def address(self, port: int | None = None) -> SshAddress:
        """Where it listens; `port` of a cable to it instead."""
        return SshAddress("127.0.0.1", user(), port or self.port, self.key, self.known_hosts)

    def know(self, port: int) -> None:
        """Accepts the host key for another port too."""
        kind, text = (self.folder / "host_key.pub").read_text().split()[:2]
        with self.known_hosts.open("a") as file:
            file.write(f"[127.0.0.1]:{port} {kind} {text}\n")


def user() -> str:
    """Who runs the tests; sshd lets nobody else in."""
    import getpass

    return getpass.getuser()


def make_key(path: Path, passphrase: str = "") -> Path:
    """Makes a private key and its public half."""
    path.unlink(missing_ok=True)
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(path)]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    return path


def free_port() -> int:
    """A port on loopback that nothing listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running(folder: Path, before: Sequence[str] = ()) -> Iterator[Sshd]:
    """Starts a server whose users have `folder/home` as their home.

    Args:
        folder: where its keys and the home are.
        before: words to put before the command that starts it.
    """
    server = Sshd(folder, free_port())
    server.home.mkdir(parents=True, exist_ok=True)
    make_key(folder / "host_key")
    make_key(server.key)
    shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
    server.know(server.port)
    (folder / "sshd_config").write_text(
        f"Port {server.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nPidFile none\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\n"
        "Subsystem sftp internal-sftp\n"
        "PasswordAuthentication no\nPermitRootLogin yes\nMaxAuthTries 20\nMaxStartups 100\n"
        f"SetEnv HOME={server.home}\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where root's sshd drops its privileges
    log = (folder / "sshd.log").open("w")
    process = subprocess.Popen(
        [*before, str(PROGRAM), "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log
    )
    try:
        _wait_for(server.port)
        yield server
    finally:
        process.kill()
        process.wait()
        log.close()


def _wait_for(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens at {port}")


class Cable:
    """A TCP proxy that counts what goes to the server and can be cut after some bytes."""

    def __init__(self, port: int, cut_after: int | None = None) -> None:
        self._target = port
        self._cut_after = cut_after
        self.sent = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._pairs: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Breaks every connection."""
        for one in self._pairs:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._pairs.clear()

    def close(self) -> None:
        """Breaks every connection and takes no more."""
        self._listener.close()
        self.cut()

    def __enter__(self) -> Cable:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._pairs += [near, far]
                for source, sink, counted in ((near, far, True), (far, near, False)):
                    threading.Thread(
                        target=self._carry, args=(source, sink, counted), daemon=True
                    ).start()

    def _carry(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while block := source.recv(1 << 16):
                if counted:
                    self.sent += len(block)
                    if self._cut_after is not None and self.sent >= self._cut_after:
                        self._cut_after = None
                        self.cut()
                        return
                sink.sendall(block)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
