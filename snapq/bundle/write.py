"""Writes the parts of a bundle, the same bytes for the same content."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from snapq.bundle import HELPER, MANIFEST, PROGRAM
from snapq.bundle.schema import BundleFile
from snapq.classical import program
from snapq.storage import sha256_file, storage_errors

Array = np.ndarray[Any, np.dtype[Any]]
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Writes arrays as a `.npz` without times in it. Raises `StorageError`."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_arrays_to(file, arrays)


def write_arrays_to(sink: IO[bytes], arrays: Mapping[str, Array]) -> None:
    """Writes the `.npz` into an open file."""
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as file:
                # `ascontiguousarray` would make a vector of a scalar.
                array = np.asarray(arrays[name], order="C")
                np.lib.format.write_array(file, array, allow_pickle=False)


def write_helper(folder: Path) -> None:
    """Copies the Python helper into the bundle. Raises `StorageError`."""
    with storage_errors(folder / HELPER):
        shutil.copyfile(Path(__file__).with_name(HELPER), folder / HELPER)


def write_program(folder: Path) -> None:
    """Copies what computes head and tail of a classical model. Raises `StorageError`."""
    source = Path(program.__file__).parent
    with storage_errors(folder / PROGRAM):
        for path in sorted(source.rglob("*.py")):
            target = folder / PROGRAM / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def list_files(folder: Path) -> tuple[BundleFile, ...]:
    """Every file of a bundle that is being built, with its hash; the manifest apart."""
    return tuple(
        BundleFile(
            path=path.relative_to(folder).as_posix(),
            bytes=path.stat().st_size,
            sha256=sha256_file(path),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    )
