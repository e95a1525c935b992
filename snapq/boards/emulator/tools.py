"""The host's programs that build and run a board: found, started, and explained where they fail."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from snapq.errors import InstallError, SnapqError, StorageError

QEMU = "qemu-system-aarch64"
RUNS = (QEMU,)
BUILDS = ("apt-get", "apt-cache", "dpkg-deb", "mke2fs", "debugfs")
_PACKAGES = {
    QEMU: "qemu-system-arm",
    "apt-get": "apt",
    "apt-cache": "apt",
    "dpkg-deb": "dpkg",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "ssh": "openssh-client",
    "adb": "adb",
}
"""Program to the Debian package that has it."""
_FULL = ("no space left", "enough free space", "could not allocate block")
"""What programs say where the disk is full."""
_TAIL = 300
"""Characters of a program's last words that an error message shows."""


def search_path() -> str:
    """Where programs are looked for; an ordinary user's PATH lacks the folders of mke2fs."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def package(program: str) -> str:
    """The Debian package that has a program."""
    return _PACKAGES.get(program, program)


def require(programs: Iterable[str]) -> None:
    """Checks that all of these programs are there.

    Raises:
        InstallError: some are not; the message names all of them.
    """
    missing = [name for name in programs if shutil.which(name, path=search_path()) is None]
    if missing:
        packages = sorted(set(map(package, missing)))
        raise InstallError(
            f"The emulated board needs {', '.join(missing)}, not found here.",
            hint=f"Debian and Ubuntu: sudo apt install {' '.join(packages)}",
        )


def run(words: Sequence[str | Path], *, doing: str, hint: str, stdin: str = "") -> str:
    """Runs a program to its end and returns its standard output.

    Raises:
        StorageError: the disk is full.
        InstallError: it failed otherwise; the message has its last words.
    """
    require([str(words[0])])
    done = subprocess.run(
        [str(word) for word in words],
        input=stdin,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "PATH": search_path(), "LC_ALL": "C.UTF-8"},
    )
    if done.returncode:
        raise failure(doing, done.stderr or done.stdout, hint)
    return done.stdout


def failure(doing: str, said: str, hint: str) -> SnapqError:
    """What to raise when a program failed with these last words."""
    words = " ".join(said.split())
    tail = words if len(words) <= _TAIL else f"… {words[-_TAIL:]}"
    lower = words.lower()
    if any(word in lower for word in _FULL):
        return StorageError(
            f"The disk is full ({tail}).",
            where=doing,
            hint="Free some disk space, or set SNAPQ_CACHE to a folder on another disk.",
        )
    return InstallError(f"failed: {tail or 'it said nothing'}.", where=doing, hint=hint)
