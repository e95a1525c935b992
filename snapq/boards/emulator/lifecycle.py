"""Emulated boards that run: started, listed and stopped by name."""

from __future__ import annotations

import json
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from snapq.boards.emulator import initramfs, keys, qemu, soc_appearance, tools
from snapq.boards.emulator.image import Image, build, cache_folder
from snapq.boards.emulator.npu_state import NpuState
from snapq.boards.emulator.qemu import Process
from snapq.boards.emulator.recipe import recipe
from snapq.boards.supervisor import free_port
from snapq.errors import ConfigError, DeviceError
from snapq.progress import Progress
from snapq.storage import storage_errors, write_json

DEFAULT_NAME = "board"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_RECORD = "board.json"
_LOG = "qemu.log"
_BOOT_S = 240.0
"""A board boots in 3 s on an idle machine."""
_SSH = 22
_ADB = 5555
_ATTEMPTS = 3


@dataclass(frozen=True)
class Options:
    """What a board is started with."""

    bare: bool = False
    """Without numpy and ONNX Runtime."""
    soc: str | None = None
    """Device profile of the SoC that the board pretends to have."""
    npu: NpuState = NpuState.NO_DEVICE
    """Why its NPU cannot be used."""
    adb: bool = False
    """Whether Android's debug bridge answers there too."""
    clock: int | None = None
    """What the board's clock shows first, seconds since 1970; None for the time now."""


@dataclass(frozen=True)
class EmulatedBoard:
    """A board that has been started."""

    name: str
    folder: Path
    process: Process
    port: int
    """Of this machine's loopback, on which the board's SSH server answers."""
    adb_port: int | None
    """Of this machine's loopback, on which its `adbd` answers."""
    options: Options
    image: str
    started_at: float
    """Seconds since 1970."""

    @property
    def identity(self) -> Path:
        """The private key that opens the board."""
        return self.folder / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The board's host key, known before it starts."""
        return self.folder / "known_hosts"

    @property
    def console(self) -> Path:
        """What the board's kernel says."""
        return self.folder / "console.log"

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self.process.alive() is not None

    @property
    def memory_bytes(self) -> int:
        """Memory of this machine that it holds; 0 where it has ended."""
        process = self.process.alive()
        return process.memory_info().rss if process else 0


def boards_folder() -> Path:
    """Where each board that runs has a folder of its name."""
    return cache_folder() / "boards"


def start(
    name: str, options: Options, progress: Progress, *, attached: bool = False
) -> EmulatedBoard:
    """Starts a board and waits until its SSH server answers.

    Args:
        name: letters, digits, `.`, `_` and `-`.
        options: what kind of board.
        progress: progress reporter.
        attached: whether it ends with this process, however this process ends.

    Raises:
        ConfigError: the name is none.
        DeviceError: a board of this name runs, or it does not boot.
        InstallError: a program is missing.
        StorageError: the cache cannot be written.
    """
    folder = _folder(name)
    tools.require(tools.RUNS)
    image = build(recipe(bare=options.bare), progress)
    with _locked(folder):
        board = _read(folder)
        if board is not None and board.running:
            raise DeviceError(
                "An emulated board of this name runs already.",
                where=name,
                hint=f"Use it, stop it (snapq board emulate stop {name}), or choose another name.",
            )
        _end(folder)
        try:
            with progress.track(f"Starting the emulated board {name}", None):
                return _boot(name, folder, options, image, attached)
        except BaseException:
            _end(folder)
            raise


def find(name: str) -> EmulatedBoard | None:
    """The running board of this name. Raises `ConfigError` where the name is none."""
    board = _read(_folder(name))
    return board if board is not None and board.running else None


def status() -> tuple[EmulatedBoard, ...]:
    """Every board that was started and not stopped; one that crashed does not run."""
    folder = boards_folder()
    with storage_errors(folder):
        names = sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    return tuple(board for board in map(_read, names) if board is not None)


def stop(name: str) -> bool:
    """Ends a board and removes what belongs to it; returns whether it was there.

    Raises:
        ConfigError: the name is none.
        DeviceError: it is being started at this moment.
    """
    folder = _folder(name)
    if not folder.is_dir():
        return False
    with _locked(folder):
        _end(folder)
    return True


def wait(board: EmulatedBoard) -> None:
    """Waits until a board is stopped, here by Ctrl-C or by another command.

    Raises:
        DeviceError: it ended by itself.
    """
    with suppress(KeyboardInterrupt):
        while board.running:
            time.sleep(0.5)
        if _read(board.folder) is not None:
            raise DeviceError("The emulated board ended by itself.", where=board.name)
    stop(board.name)


def _boot(name: str, folder: Path, options: Options, image: Image, attached: bool) -> EmulatedBoard:
    hidden = soc_appearance.entries(options.soc, options.npu)
    (host_key, host_public), (user_key, user_public) = keys.generate(), keys.generate()
    now = int(time.time()) if options.clock is None else options.clock
    entries = {
        "board/etc/ssh/host_key": initramfs.file(host_key, 0o600),
        **{f"board/{path}": entry for path, entry in hidden.items()},
        "board/root/.ssh": initramfs.folder(0o700),
        "board/root/.ssh/authorized_keys": initramfs.file(f"{user_public}\n", 0o600),
    }
    archive, identity = folder / "initramfs", folder / "id_ed25519"
    with storage_errors(folder):
        folder.mkdir(mode=0o700)
        identity.touch(mode=0o600)
        identity.write_bytes(user_key)
        own = image.initramfs.read_bytes()
        # The kernel looks for the next archive at a multiple of four bytes.
        archive.write_bytes(own + bytes(-len(own) % 4) + initramfs.archive(entries))
    console, log = folder / "console.log", folder / _LOG
    # Another program may take a free port before QEMU does.
    for attempt in range(1, _ATTEMPTS + 1):
        port = free_port()
        adb_port = free_port() if options.adb else None
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_public}\n")
        words = qemu.command(
            image,
            archive,
            console,
            ports={_SSH: port, **({} if adb_port is None else {_ADB: adb_port})},
            kernel_words=f"snapq.name={name} snapq.time={now}{' snapq.adb' * options.adb}",
        )
        process = qemu.start(words, log, attached=attached)
        board = EmulatedBoard(
            name, folder, process, port, adb_port, options, image.key, time.time()
        )
        record = {key: value for key, value in asdict(board).items() if key != "folder"}
        write_json(folder / _RECORD, record)
        try:
            _await(board, log)
        except DeviceError:
            if board.running or attempt == _ATTEMPTS or b"hostfwd" not in log.read_bytes():
                raise
        else:
            return board
    raise AssertionError  # the last attempt returns or raises


def _await(board: EmulatedBoard, log: Path) -> None:
    """Waits until the SSH server says hello."""
    end = time.monotonic() + _BOOT_S
    while time.monotonic() < end:
        if not board.running:
            raise qemu.ended(log)
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", board.port), timeout=2) as connection,
        ):
            if connection.recv(8).startswith(b"SSH-2.0"):
                return
        time.sleep(0.1)
    said = (
        board.console.read_text(errors="replace").strip()[-300:] if board.console.exists() else ""
    )
    raise DeviceError(
        f"The board did not boot within {_BOOT_S:.0f} s; its console says: {said or 'nothing'}",
        where=board.name,
        hint="Build it anew: snapq board emulate build --fresh",
    )


def _end(folder: Path) -> None:
    # Another version of snapq may have written the record; its process must end all the same.
    with suppress(OSError, ValueError, TypeError, KeyError):
        values = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        Process(**values["process"]).end()
    with storage_errors(folder):
        if folder.is_dir():
            shutil.rmtree(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the board's lock while it is started or stopped."""
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{folder}.lock")
    try:
        lock.acquire(timeout=1)
    except Timeout as error:
        raise DeviceError(
            "Another snapq starts or stops this emulated board at this moment.",
            where=folder.name,
            hint="Wait for it, or choose another name.",
        ) from error
    try:
        yield
    finally:
        if not folder.is_dir():
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _folder(name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name[:70]!r} is no name of a board.",
            hint="Use up to 63 letters, digits, '.', '_' and '-', the first a letter or a digit.",
        )
    return boards_folder() / name


def _read(folder: Path) -> EmulatedBoard | None:
    """The board whose folder this is; None where it never came to be."""
    try:
        values = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        return EmulatedBoard(
            **{
                **values,
                "folder": folder,
                "process": Process(**values["process"]),
                "options": Options(
                    **{**values["options"], "npu": NpuState(values["options"]["npu"])}
                ),
            }
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
