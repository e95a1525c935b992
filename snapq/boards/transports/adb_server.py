"""The `adb` program, its server, and the device that is asked for."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

from snapq.boards import supervisor
from snapq.boards.transports.lines import readable
from snapq.errors import DeviceError, InstallError
from snapq.storage import storage_errors

_NETWORK = re.compile(r".+:\d{1,5}")
_TIMEOUT_S = 60
_DEFAULT_PORT = 5037
_PORT_VARIABLE = "ANDROID_ADB_SERVER_PORT"
_HINTS = {
    "unauthorized": "Unlock the device and accept this computer's key in the dialog there.",
    "offline": "Unplug it and plug it in again, or restart it.",
    "not found": "`adb devices` lists what is connected; switch on USB debugging on the device.",
    "no permissions": "Give your user access to the USB device: udev rules of android-sdk.",
    "more than one": "Name one of them: adb://SERIAL; `adb devices` lists them.",
}
_lock = threading.Lock()
_private: list[int] = []
"""Port of this process's own server, once it runs."""


def program() -> str:
    """The `adb` program. Raises `InstallError`."""
    found = shutil.which("adb")
    if found is None:
        raise InstallError(
            "The program adb is not found here.", hint="Debian and Ubuntu: sudo apt install adb"
        )
    return found


def device_command(serial: str) -> list[str]:
    """The start of every command for one device, which is there and lets us in.

    A device on the network gets a server of this process's own, which ends with it and leaves
    nothing behind; one on USB belongs to the user's server, since only one can hold it.

    Args:
        serial: as `adb devices` lists it; `HOST:PORT` is connected to first.

    Raises:
        InstallError: there is no `adb`.
        DeviceError: the device is not there, or does not let us in.
    """
    adb = program()
    if _NETWORK.fullmatch(serial):
        command = [adb, "-P", str(_private_port(adb))]
        said = _say([*command, "connect", serial], serial)
        if not said.startswith(("connected to", "already connected to")):
            raise _refusal(serial, said)
    else:
        command = [adb, "-P", os.environ.get(_PORT_VARIABLE, str(_DEFAULT_PORT))]
    command += ["-s", serial]
    state = _say([*command, "get-state"], serial)
    if state != "device":
        raise _refusal(serial, state)
    if "shell_v2" not in _say([*command, "features"], serial).split():
        raise DeviceError(
            "The device is too old: its adb passes no exit codes on.",
            where=f"adb://{serial}",
            hint="snapq needs Android 7 or later.",
        )
    return command


def _private_port(adb: str) -> int:
    with _lock:
        if not _private:
            port = supervisor.free_port()
            log = Path(tempfile.gettempdir()) / f"snapq-adb-{os.getpid()}.log"
            with storage_errors(log):
                # Without `-a` it listens on the loopback alone.
                words = [adb, "-P", str(port), "server", "nodaemon"]
                started = supervisor.start(words, log)
                log.unlink()
            if started is None or not _answers(port):
                raise InstallError(
                    "adb's server does not start.", hint="Try it: adb start-server, adb version"
                )
            _private.append(port)
        return _private[0]


def _answers(port: int) -> bool:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            threading.Event().wait(0.1)
        else:
            return True
    return False


def _say(words: list[str], serial: str) -> str:
    """What a short command of adb says, on one line."""
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DeviceError(
            f"adb gave no answer in {_TIMEOUT_S} s.",
            where=f"adb://{serial}",
            hint="Check the cable or the network, and that the device is on.",
        ) from error
    return readable(done.stdout + done.stderr)


def _refusal(serial: str, said: str) -> DeviceError:
    hint = next(
        (hint for word, hint in _HINTS.items() if word in said),
        "Check the cable or the network, and that the device is on and lets adb in.",
    )
    return DeviceError(
        f"The device cannot be used: {said or 'adb says nothing'}.",
        where=f"adb://{serial}",
        hint=hint,
    )
