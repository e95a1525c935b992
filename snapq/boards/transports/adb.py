"""The transport `adb://`: commands and files through Android's debug bridge.

Every verb is a command of the device's shell, whose protocol keeps standard output and errors
apart, passes bytes as they are and returns the exit code (since Android 7).
"""

from __future__ import annotations

import contextlib
import io
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from snapq.boards.transports.adb_server import device_command
from snapq.boards.transports.address import AdbAddress
from snapq.boards.transports.base import Command, Completed, Sent, Transport
from snapq.boards.transports.lines import BEAT_S, BLOCK_BYTES, Collector, Tail, opened, readable
from snapq.errors import ConnectionLostError, DeviceError, InstallError

_NOT_FOUND = 127
_LOST = ("device offline", "no devices", "device '", "protocol fault", "closed")
_ANDROID = ("getprop", "ro.build.version.release")


class AdbTransport(Transport):
    """A device that adb reaches.

    Args:
        address: its serial number, or its place on the network.

    Raises:
        InstallError: there is no `adb`.
        DeviceError: the device is not there, or does not let us in.
    """

    def __init__(self, address: AdbAddress) -> None:
        self.address = str(address)
        self._adb = device_command(address.serial)
        self._running: set[subprocess.Popen[bytes]] = set()

    def run(self, command: Command) -> Completed:
        """Runs a command; see `Transport`."""
        with self._shell(command.words) as process:
            errors = _tail(process)
            threading.Thread(target=_feed, args=(process, command), daemon=True).start()
            watch = _Watch(process, command)
            collector = Collector(self.address, command.on_line, command.limit_bytes, command.watch)
            stdout = cast(io.BufferedReader, process.stdout)
            while block := stdout.read1(BLOCK_BYTES):
                watch.heard()
                collector.take(block)
            code = process.wait()
            watch.stop()
        self._check_time(watch, command)
        self._check_connection(code, errors.text())
        if code == _NOT_FOUND and command.words[0] != _ANDROID[0]:
            self._check_android(command.words[0])
        return Completed(code, bytes(collector.kept), errors.text())

    def put(
        self, source: Path | bytes, path: str, *, offset: int = 0, sent: Sent | None = None
    ) -> None:
        """Writes a file on the device; see `Transport`."""
        redirect = ">>" if offset else ">"
        words = ("sh", "-c", f"cat {redirect} {shlex.quote(path)}")
        with opened(source) as file, self._shell(words) as process:
            errors = _tail(process)
            file.seek(offset)
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # the exit code says why
                while block := file.read(BLOCK_BYTES):
                    process.stdin.write(block)
                    if sent is not None:
                        sent(len(block))
                process.stdin.close()
            code = process.wait()
        self._check_connection(code, errors.text())
        if code != 0:
            raise self._cannot_write(path, errors.text(), code)

    def close(self) -> None:
        """Ends what still runs over the connection."""
        for process in tuple(self._running):
            process.kill()

    @contextmanager
    def _shell(self, words: Sequence[str]) -> Iterator[Process]:
        process = subprocess.Popen(
            [*self._adb, "shell", "-T", shlex.join(words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=-1,
            start_new_session=True,  # Ctrl-C is this process's to handle
        )
        self._running.add(process)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            self._running.discard(process)

    def _check_time(self, watch: _Watch, command: Command) -> None:
        if watch.late == "time":
            raise DeviceError(
                f"The device did not finish within {command.timeout_s:g} s.",
                where=self.address,
                hint="Check what else runs on it, and try again.",
            )
        if watch.late == "silence":
            raise ConnectionLostError(
                f"The device said nothing for {command.silence_s:g} s.",
                where=self.address,
                hint="Check that it is on and connected, and try again.",
            )

    def _check_connection(self, code: int, stderr: bytes) -> None:
        said = readable(stderr)
        if code != 0 and said.startswith(("error: ", "adb: ")) and any(w in said for w in _LOST):
            raise ConnectionLostError(
                f"The connection to the device broke ({said}).",
                where=self.address,
                hint="Check the cable or the network, then run the same command again; what was "
                "pushed already is not sent again.",
            )

    def _check_android(self, program: str) -> None:
        """Says why Android, where that is what it is, has not got a program.

        Raises:
            InstallError: it is Android.
        """
        release = readable(self.run(Command(_ANDROID)).stdout)
        if release:
            raise InstallError(
                f"This is Android {release}, which has no {program}.",
                where=self.address,
                hint="snapq measures with Python and ONNX Runtime's wheels, which exist for Linux "
                "and not for Android: use a board with Linux, or put the bundle into an app with "
                "ONNX Runtime.",
            )


Process = subprocess.Popen[bytes]


class _Watch:
    """Ends a process that takes too long, or says nothing for too long."""

    def __init__(self, process: Process, command: Command) -> None:
        self.late: str | None = None
        self._process = process
        self._command = command
        self._started = self._heard = time.monotonic()
        self._stopped = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def heard(self) -> None:
        """Something was said."""
        self._heard = time.monotonic()

    def stop(self) -> None:
        """The process has ended."""
        self._stopped.set()

    def _watch(self) -> None:
        limit = self._command.timeout_s
        while not self._stopped.wait(0.2):
            now = time.monotonic()
            if limit is not None and now - self._started > limit:
                self.late = "time"
            elif now - self._heard > self._command.silence_s:
                self.late = "silence"
            if self.late is not None:
                self._process.kill()
                return


def _tail(process: Process) -> Tail:
    assert process.stderr is not None
    return Tail(process.stderr.read)


def _feed(process: Process, command: Command) -> None:
    """Sends what the command reads, then the beats, until it ends."""
    assert process.stdin is not None
    with contextlib.suppress(OSError, ValueError):  # it has ended
        process.stdin.write(command.stdin)
        process.stdin.flush()
        if command.beat is None:
            process.stdin.close()
            return
        while process.poll() is None:
            time.sleep(BEAT_S)
            process.stdin.write(command.beat)
            process.stdin.flush()
