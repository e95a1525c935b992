"""The memory image from which the emulated board's kernel starts, written as cpio in Python.

The kernel unpacks several archives that follow each other: the image's own holds busybox and the
drivers, one more that belongs to a single board holds its keys and how its SoC looks.
"""

from __future__ import annotations

import gzip
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from snapq.boards.emulator import recipe
from snapq.errors import InstallError

_ALIGN = 4
_TRAILER = "TRAILER!!!"


@dataclass(frozen=True)
class Entry:
    """One file, folder, link or device of an archive."""

    mode: int
    """File type and permissions."""
    data: bytes = b""


def file(data: bytes | str, permissions: int = 0o644) -> Entry:
    """A plain file."""
    return Entry(stat.S_IFREG | permissions, data.encode() if isinstance(data, str) else data)


def folder(permissions: int = 0o755) -> Entry:
    """A folder."""
    return Entry(stat.S_IFDIR | permissions)


def link(target: str) -> Entry:
    """A symbolic link."""
    return Entry(stat.S_IFLNK | 0o777, target.encode())


def archive(entries: Mapping[str, Entry]) -> bytes:
    """A cpio archive (`newc`, see the kernel's initramfs buffer format); all belongs to root.

    Args:
        entries: path without a leading slash to what stands there; folders on the way are added.
    """
    whole: dict[str, Entry] = {}
    for path, entry in entries.items():
        parts = path.split("/")
        for count in range(1, len(parts)):
            whole.setdefault("/".join(parts[:count]), folder())
        whole[path] = entry
    blocks = [
        _record(number, path, entry) for number, (path, entry) in enumerate(whole.items(), start=1)
    ]
    return b"".join((*blocks, _record(0, _TRAILER, Entry(0))))


def boot_archive(kernel: Path, busybox: bytes, modules: Iterable[str]) -> bytes:
    """The compressed archive that mounts the root file system.

    Args:
        kernel: the unpacked kernel package.
        busybox: a static busybox of the board's architecture.
        modules: kernel modules to load.

    Raises:
        InstallError: the kernel lacks one of the modules.
    """
    paths = _in_order(kernel, modules)
    entries = {
        "bin/busybox": file(busybox, 0o755),
        "init": file(recipe.script("initramfs"), 0o755),
        "dev": folder(),
        "root": folder(),
        "board": folder(),
        "modules/order": file("".join(f"{path.stem}\n" for path in paths)),
        **{f"modules/{path.name}": file(path.read_bytes()) for path in paths},
    }
    return gzip.compress(archive(entries), compresslevel=6, mtime=0)


def _record(number: int, path: str, entry: Entry) -> bytes:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(head + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGN)


def _in_order(kernel: Path, modules: Iterable[str]) -> list[Path]:
    """Files of the modules and of all that they depend on, each after what it needs."""
    files = {_plain(path.stem): path for path in sorted(kernel.rglob("*.ko"))}
    built_in = {
        _plain(Path(line).stem)
        for path in kernel.rglob("modules.builtin")
        for line in path.read_text().split()
    }
    order: dict[str, Path] = {}

    def add(name: str) -> None:
        if name in order or name in built_in:
            return
        if name not in files:
            raise InstallError(f"The kernel has no module {name}.", where=str(kernel))
        for needed in _dependencies(files[name].read_bytes()):
            add(_plain(needed))
        order[name] = files[name]

    for module in modules:
        add(_plain(module))
    return list(order.values())


def _dependencies(module: bytes) -> list[str]:
    """What a kernel module says that it depends on, in its `.modinfo` section."""
    found = re.search(rb"\0depends=([^\0]*)\0", module)
    return [name for name in found[1].decode().split(",") if name] if found else []


def _plain(name: str) -> str:
    return name.replace("-", "_")
