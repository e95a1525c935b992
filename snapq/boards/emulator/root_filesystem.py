"""The root file system of the emulated board: Debian's files, our few settings, one ext4 image."""

from __future__ import annotations

import compileall
import os
import py_compile
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from snapq.boards.emulator import recipe, tools
from snapq.errors import InstallError
from snapq.storage import storage_errors

DIST_PACKAGES = "usr/lib/python3/dist-packages"
"""Where Debian's Python finds what the system brings along."""
_FOLDERS = ("boot", "dev", "proc", "sys", "run", "tmp", "root/.ssh", "var/log", "var/empty")
_NEVER_IMPORTED = re.compile(r"/(tests|testing|test|f2py|tools|transformers|quantization)/")
_UNREAD = ("doc", "doc-base", "info", "lintian", "locale", "man", "perl", "perl5")
"""Folders of /usr/share that nothing on the board reads."""
_MEND = "Free some disk space, or set SNAPQ_CACHE to a folder on another disk."

SETTINGS = {
    "etc/passwd": (
        "root:x:0:0:root:/root:/bin/sh\n"
        "sshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    ),
    "etc/group": "root:x:0:\ntty:x:5:\nshell:x:2000:\nnogroup:x:65534:\n",
    "etc/shadow": "root:*:19000::::::\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/inittab": (
        "::sysinit:/etc/snapq/boot\n"
        "::respawn:/usr/sbin/sshd -D -e -f /etc/ssh/sshd_config\n"
        "::ctrlaltdel:/bin/busybox poweroff\n"
    ),
    # The board's clock counts instructions: minutes pass at once where nothing is to be done, so
    # that a limit in seconds would end a login that has just begun.
    "etc/ssh/sshd_config": (
        "HostKey /etc/ssh/host_key\n"
        "PermitRootLogin prohibit-password\n"
        "PasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\n"
        "UsePAM no\n"
        "UseDNS no\n"
        "LoginGraceTime 0\n"
        "MaxStartups 100\n"
        "MaxSessions 100\n"
        "PrintMotd no\n"
        "Subsystem sftp internal-sftp\n"
    ),
    "etc/environment": "ORT_DISABLE_TELEMETRY=1\n",
}


def arrange(root: Path) -> None:
    """Turns unpacked packages into a system that boots. Raises `StorageError`."""
    with storage_errors(root):
        for name in _FOLDERS:
            (root / name).mkdir(parents=True, exist_ok=True)
        for name in _UNREAD:
            shutil.rmtree(root / "usr/share" / name, ignore_errors=True)
        (root / "root/.ssh").chmod(0o700)
        (root / "tmp").chmod(0o1777)
        for name, text in SETTINGS.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        boot = root / "etc/snapq/boot"
        boot.parent.mkdir()
        boot.write_text(recipe.script("boot"))
        boot.chmod(0o755)
        _link(root / "bin/sh", "dash")
        _link(root / "sbin/init", "../bin/busybox")
        _link(root / "usr/bin/python3", f"python{recipe.PYTHON_VERSION}")


def compile_python(root: Path) -> None:
    """Compiles what the board imports, so that Python starts there in a quarter of the time.

    Only the same version of Python can; where this one is another, the board does it as it goes.
    """
    if sys.version_info[:2] != tuple(map(int, recipe.PYTHON_VERSION.split("."))):
        return
    for folder in (DIST_PACKAGES, f"usr/lib/python{recipe.PYTHON_VERSION}"):
        compileall.compile_dir(
            root / folder,
            maxlevels=20,
            stripdir=str(root),
            prependdir="/",
            quiet=2,
            rx=_NEVER_IMPORTED,
            # The times of the files may change on their way; their contents do not.
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def write_image(root: Path, image: Path, size_mb: int) -> None:
    """Writes an ext4 image of the folder in which everything belongs to root.

    Raises:
        StorageError: the disk is full, or the files do not fit into the image.
        InstallError: a program is missing or fails.
    """
    tools.run(
        (
            *("mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0"),
            *("-E", "lazy_itable_init=1", "-d", root, image, f"{size_mb}M"),
        ),
        doing="writing the board's file system",
        hint=_MEND,
    )
    if os.geteuid() == 0:
        return
    # Without root the files belong to this user; debugfs changes that inside of the image.
    edits = "".join(
        f'set_inode_field "{path}" {field} 0\n' for path in _paths(root) for field in ("uid", "gid")
    )
    tools.run(
        ("debugfs", "-w", "-f", "-", image),
        doing="giving the board's files to root",
        hint=_MEND,
        stdin=edits,
    )


def _paths(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = f"/{Path(folder, name).relative_to(root)}"
            if '"' in path or "\n" in path:
                raise InstallError("This name of a file cannot be handled.", where=repr(path))
            yield path


def _link(path: Path, target: str) -> None:
    if not path.is_symlink() and not path.exists():
        path.symlink_to(target)
