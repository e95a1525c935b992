"""What the emulated board is made of. The image of the board is named by the hash of this table."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from importlib import metadata, resources

RELEASE = "bookworm"
"""Debian 12: its Python is 3.11, its glibc 2.36."""
ARCHITECTURE = "arm64"
KERNEL = "linux-image-cloud-arm64"
"""Has virtio and ext4, and is a quarter of the size of the ordinary kernel."""
KERNEL_MODULES = ("virtio_mmio", "virtio_pci", "virtio_blk", "virtio_net", "virtio_rng")
SYSTEM = (
    "base-files",
    "base-passwd",
    "busybox-static",
    "coreutils",
    "dash",
    "grep",
    "libatomic1",
    "libgcc-s1",
    "libpython3-stdlib",
    "libstdc++6",
    "openssh-server",
    "openssh-sftp-server",
    "python3-minimal",
    "zlib1g",
)
ADB_DAEMON = (
    "adbd",
    "android-libbase",
    "android-libboringssl",
    "android-libcutils",
    "android-liblog",
)
"""Newer than the release: out of its backports."""
PYTHON_VERSION = "3.11"
WHEELS = ("numpy", "onnxruntime", "onnxruntime-qnn")
"""What runs a package on the board; the versions are the host's, which compiled the package."""
DISK_MB = 3072
"""Size of the board's file system; its image is sparse."""
_FORMAT = 3
"""Grows when the way in which an image is put together changes."""


@dataclass(frozen=True)
class Recipe:
    """All that decides what is in an image."""

    release: str
    packages: tuple[str, ...]
    """Of the release, or of its backports: `adbd/bookworm-backports`."""
    kernel: str
    modules: tuple[str, ...]
    wheels: tuple[str, ...]
    """Requirements with versions, `numpy==2.4.6`; empty for a board without an environment."""
    disk_mb: int
    scripts: str
    """Hash of the scripts that run when the board boots."""
    format: int = _FORMAT

    @property
    def key(self) -> str:
        """Names the image: 16 hexadecimal digits."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def recipe(*, bare: bool = False) -> Recipe:
    """The recipe of the board.

    Args:
        bare: leave out numpy and ONNX Runtime: a board as it comes from its maker.
    """
    return Recipe(
        release=RELEASE,
        packages=(*SYSTEM, *(f"{name}/{RELEASE}-backports" for name in ADB_DAEMON)),
        kernel=KERNEL,
        modules=KERNEL_MODULES,
        wheels=() if bare else tuple(f"{name}=={_version(name)}" for name in WHEELS),
        disk_mb=DISK_MB,
        scripts=hashlib.sha256("\0".join(map(script, ("initramfs", "boot"))).encode()).hexdigest(),
    )


def script(name: str) -> str:
    """The text of one of the board's scripts: `initramfs`, `boot`."""
    folder = resources.files("snapq.boards.emulator")
    return folder.joinpath("files", f"{name}.sh").read_text(encoding="utf-8")


def _version(name: str) -> str:
    """The version that is installed here, else the one that snapq is tested with."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        pins = resources.files("snapq").joinpath("constraints.txt").read_text(encoding="utf-8")
        found = re.search(rf"^{re.escape(name)}==(\S+)", pins, re.MULTILINE)
        if found is None:
            raise
        return found[1]
