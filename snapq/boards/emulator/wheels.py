"""Python wheels for the board, downloaded by pip and unpacked without running anything of them."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from snapq.boards.emulator import tools
from snapq.boards.emulator.recipe import PYTHON_VERSION
from snapq.storage import storage_errors

_PLATFORMS = ("2_34", "2_31", "2_28", "2_27", "2_26", "2_17")
"""glibc versions up to the board's, as wheels name them."""
_ABIS = ("cp" + PYTHON_VERSION.replace(".", ""), "abi3", "none")


def fetch(requirements: Sequence[str], folder: Path) -> list[Path]:
    """Downloads wheels for aarch64 Linux. Raises `InstallError`, `StorageError`."""
    platforms = [f"--platform=manylinux_{glibc}_aarch64" for glibc in _PLATFORMS]
    tools.run(
        (
            sys.executable,
            *("-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--only-binary=:all:", "--no-deps", "--dest", folder),
            *(f"--python-version={PYTHON_VERSION}", "--implementation=cp"),
            *(f"--abi={abi}" for abi in _ABIS),
            *(*platforms, "--platform=manylinux2014_aarch64"),
            *requirements,
        ),
        doing="pip download for aarch64",
        hint="Check that PyPI can be reached: pip download numpy",
    )
    return sorted(folder.glob("*.whl"))


def unpack(wheel: Path, folder: Path) -> None:
    """Puts the contents of a wheel into a folder of Python's path. Raises `StorageError`."""
    with storage_errors(folder), zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
