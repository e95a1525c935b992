"""QEMU's command line for the board, and its process."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from snapq.boards import supervisor
from snapq.boards.emulator import tools
from snapq.boards.emulator.image import Image
from snapq.errors import DeviceError
from snapq.storage import storage_errors

CPU = "cortex-a76"
MEMORY_MB = 2048
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class Process:
    """A process that is told from a later one with the same number by when it began."""

    pid: int
    started: int
    """Ticks from the start of the machine, which do not move when its clock is set."""
    boot: str
    """Names the start of the machine."""

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has this number now. Raises `OSError` where there is none."""
        text = Path(f"/proc/{pid}/stat").read_text()
        # The name of the program, in brackets, may hold anything; field 22 is the 20th after it.
        ticks = int(text.rpartition(")")[2].split()[19])
        return cls(pid, ticks, Path("/proc/sys/kernel/random/boot_id").read_text().strip())

    def alive(self) -> psutil.Process | None:
        """The running process; None where it has ended."""
        with suppress(psutil.Error, OSError):
            process = psutil.Process(self.pid)
            if Process.of(self.pid) == self and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None

    def end(self) -> None:
        """Ends the process, and waits until it is gone."""
        process = self.alive()
        if process is None:
            return
        with suppress(psutil.Error):
            process.terminate()
            try:
                process.wait(_PATIENCE_S)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(_PATIENCE_S)


def command(
    image: Image, initramfs: Path, console: Path, *, ports: Mapping[int, int], kernel_words: str
) -> list[str]:
    """QEMU's command line.

    Args:
        image: kernel and disk; the disk is read only, what the board writes goes with it.
        initramfs: the image's own, followed by what belongs to this board.
        console: file that takes what the board's kernel says.
        ports: port on the board to port of this machine's loopback; nothing else gets in or out.
        kernel_words: words for the kernel's command line.
    """
    forwards = "".join(
        f",hostfwd=tcp:127.0.0.1:{host}-:{board}" for board, host in sorted(ports.items())
    )
    program = shutil.which(tools.QEMU, path=tools.search_path()) or tools.QEMU
    return [
        program,
        *("-M", "virt", "-cpu", CPU, "-smp", "1", "-m", str(MEMORY_MB)),
        # One nanosecond an instruction, whatever this machine does meanwhile.
        *("-accel", "tcg,thread=single", "-icount", "shift=0,align=off,sleep=on"),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-serial", f"file:{_value(console)}"),
        *("-kernel", str(image.kernel), "-initrd", str(initramfs)),
        *("-append", f"console=ttyAMA0 quiet panic=-1 {kernel_words}"),
        *(
            "-drive",
            f"file={_value(image.disk)},format=raw,if=none,id=disk,snapshot=on,"
            "discard=unmap,werror=report,rerror=report",
        ),
        *("-device", "virtio-blk-pci,drive=disk,romfile="),
        *("-netdev", f"user,id=net,restrict=on,ipv6=off{forwards}"),
        *("-device", "virtio-net-pci,netdev=net,romfile="),
        *("-device", "virtio-rng-pci"),
    ]


def start(words: list[str], log: Path, *, attached: bool) -> Process:
    """Starts QEMU.

    Args:
        words: its command line.
        log: file that takes what QEMU itself says.
        attached: whether it ends with this process, however this process ends.

    Raises:
        DeviceError: it ended at once.
        StorageError: the log cannot be written.
    """
    with storage_errors(log):
        if attached:
            pid = supervisor.start(words, log)
            if pid is None:
                raise ended(log)
            return _started(pid, log)
        with log.open("wb") as file:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
            )
        return _started(process.pid, log)


def _started(pid: int, log: Path) -> Process:
    try:
        return Process.of(pid)
    except OSError as error:
        time.sleep(0.1)
        raise ended(log) from error


def ended(log: Path) -> DeviceError:
    """What to raise where QEMU ended by itself."""
    with storage_errors(log):
        said = " ".join(log.read_text(errors="replace").split())[-300:]
    return DeviceError(
        f"QEMU ended: {said or 'it said nothing'}.",
        where="the emulated board",
        hint="Check that QEMU 7.2 or later is installed: qemu-system-aarch64 --version",
    )


def _value(path: Path) -> str:
    """A path as a value of one of QEMU's options, where a comma begins the next one."""
    return str(path).replace(",", ",,")
