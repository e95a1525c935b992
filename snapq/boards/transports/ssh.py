"""The transport `ssh://`: an SSH connection through paramiko.

Files go through `cat` on the board and not through SFTP: small systems have no SFTP server, and a
stream without answers in between is faster.
"""

from __future__ import annotations

import contextlib
import logging
import shlex
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import paramiko

from snapq.boards.transports.address import SshAddress
from snapq.boards.transports.base import Command, Completed, Sent, Transport
from snapq.boards.transports.lines import BEAT_S, BLOCK_BYTES, Collector, Tail, opened, readable
from snapq.boards.transports.ssh_login import log_in
from snapq.boards.transports.ssh_settings import settings_of
from snapq.errors import ConnectionLostError, DeviceError

_KEEP_ALIVE_S = 15
_POLL_S = 0.5
_WRITE_TIMEOUT_S = 60.0
# What happens on the wire is told by our errors; paramiko would print tracebacks of its threads.
logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)


class SshTransport(Transport):
    """An open SSH connection.

    Args:
        address: where to connect to.

    Raises:
        HostKeyError: the host key is unknown or changed.
        DeviceError: there is no way to the host, or it does not let us in.
    """

    def __init__(self, address: SshAddress) -> None:
        self.address = str(address)
        with ExitStack() as stack:
            self._transport = log_in(settings_of(address), stack)
            self._transport.set_keepalive(_KEEP_ALIVE_S)
            self._open = stack.pop_all()

    def run(self, command: Command) -> Completed:
        """Runs a command; see `Transport`."""
        with self._channel() as channel, _lost(self.address):
            channel.exec_command(shlex.join(command.words))
            sender = threading.Thread(target=_feed, args=(channel, command), daemon=True)
            sender.start()
            errors = Tail(channel.makefile_stderr("rb", 0).read)
            collector = Collector(self.address, command.on_line, command.limit_bytes, command.watch)
            self._receive(channel, command, collector)
            code = self._exit_code(channel)
            return Completed(code, bytes(collector.kept), errors.text())

    def put(
        self, source: Path | bytes, path: str, *, offset: int = 0, sent: Sent | None = None
    ) -> None:
        """Writes a file on the board; see `Transport`."""
        redirect = ">>" if offset else ">"
        with opened(source) as file, self._channel() as channel, _lost(self.address):
            file.seek(offset)
            channel.settimeout(_WRITE_TIMEOUT_S)
            channel.exec_command(f"cat {redirect} {shlex.quote(path)}")
            errors = Tail(channel.makefile_stderr("rb", 0).read)
            while (block := file.read(BLOCK_BYTES)) and not channel.exit_status_ready():
                try:
                    channel.sendall(block)
                except OSError:
                    if self._transport.is_active() and channel.exit_status_ready():
                        break  # `cat` ended: its exit code says why
                    raise
                if sent is not None:
                    sent(len(block))
            channel.shutdown_write()
            code = self._exit_code(channel)
        if code != 0:
            raise self._cannot_write(path, errors.text(), code)

    def close(self) -> None:
        """Ends the connection, and the jump hosts' with it."""
        self._open.close()

    @contextmanager
    def _channel(self) -> Iterator[paramiko.Channel]:
        try:
            channel = self._transport.open_session(timeout=30)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise _loss(self.address, error) from error
        try:
            yield channel
        finally:
            with contextlib.suppress(Exception):  # the connection may be gone
                channel.close()

    def _receive(self, channel: paramiko.Channel, command: Command, collector: Collector) -> None:
        """Reads standard output to its end, within the command's limits of time."""
        channel.settimeout(_POLL_S)
        started = heard = time.monotonic()
        while True:
            try:
                block = channel.recv(BLOCK_BYTES)
            except TimeoutError:
                now = time.monotonic()
                if not self._transport.is_active():
                    raise _loss(self.address, None) from None
                if command.timeout_s is not None and now - started > command.timeout_s:
                    raise DeviceError(
                        f"The board did not finish within {command.timeout_s:g} s.",
                        where=self.address,
                        hint="Check what else runs on the board, and try again.",
                    ) from None
                if now - heard > command.silence_s:
                    raise ConnectionLostError(
                        f"The board said nothing for {command.silence_s:g} s.",
                        where=self.address,
                        hint="Check that it is on and reachable, and try again.",
                    ) from None
                continue
            if not block:
                return
            heard = time.monotonic()
            collector.take(block)
            if command.timeout_s is not None and heard - started > command.timeout_s + 60:
                raise DeviceError(
                    f"The board went on sending for more than {command.timeout_s:g} s.",
                    where=self.address,
                )

    def _exit_code(self, channel: paramiko.Channel) -> int:
        if not channel.status_event.wait(30) or (
            channel.exit_status == -1 and not self._transport.is_active()
        ):
            raise _loss(self.address, None)
        return channel.exit_status


def _feed(channel: paramiko.Channel, command: Command) -> None:
    """Sends what the command reads, then the beats, until it ends."""
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):  # `_receive` tells why
        channel.sendall(command.stdin)
        if command.beat is None:
            channel.shutdown_write()
            return
        while not channel.status_event.wait(BEAT_S) and not channel.closed:
            channel.sendall(command.beat)


@contextmanager
def _lost(address: str) -> Iterator[None]:
    """Turns what paramiko raises into an error of ours."""
    try:
        yield
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise _loss(address, error) from error


def _loss(address: str, error: BaseException | None) -> ConnectionLostError:
    reason = f" ({readable(str(error).encode())})" if error and str(error) else ""
    return ConnectionLostError(
        f"The connection to the board broke{reason}.",
        where=address,
        hint="Check the network and that the board is on, then run the same command again; what "
        "was pushed already is not sent again.",
    )
