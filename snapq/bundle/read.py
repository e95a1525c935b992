"""Opens a bundle: nothing in it is used before the manifest and every file have been checked."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snapq.bundle import GOLDEN, MANIFEST
from snapq.bundle.host_schema import constants
from snapq.bundle.manifest import boundary_of, read_manifest
from snapq.bundle.package_schema import BundlePackage
from snapq.bundle.references import check_references
from snapq.bundle.schema import BundleDevice, BundleFile, Manifest
from snapq.classical.host import Host
from snapq.errors import DataError, StorageError, nearest
from snapq.evaluation.array_file import open_npz
from snapq.graph.boundary import Boundary
from snapq.storage import sha256_file, storage_errors

Array = np.ndarray[Any, np.dtype[Any]]
_MEND = "Copy the bundle again, or build it anew with `snapq run`."
_MAX_GOLDEN_BYTES = 1 << 32


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk whose files are what its manifest says.

    Attributes:
        path: the folder.
        manifest: what is in it.
    """

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path) -> Bundle:
        """Opens and checks a bundle.

        Files that the manifest does not list are never used.

        Raises:
            StorageError: the manifest is missing, damaged or of another schema; a listed file is
                missing, is a link, has another size or other bytes; or a model in the bundle
                refers to a file that is not listed.
        """
        if not path.is_dir():
            raise StorageError("There is no such folder.", where=str(path), hint="Check the path.")
        manifest = read_manifest(path)
        for file in manifest.files:
            _check_file(path, file)
        check_references(path, manifest)
        return cls(path, manifest)

    @property
    def model(self) -> Path:
        """The portable model with the package's boundary."""
        return self.path / self.manifest.model

    @property
    def boundary(self) -> Boundary:
        """What the package takes and gives."""
        return boundary_of(self.manifest)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that belongs to the bundle, the manifest first."""
        return (self.path / MANIFEST, *(self.path / file.path for file in self.manifest.files))

    def device(self, device: str) -> BundleDevice:
        """The package compiled for a device.

        Raises:
            StorageError: the bundle was not compiled for it, or `package_for` gives its package.
        """
        for entry in self.manifest.devices:
            if entry.device == device:
                return entry
        for package in self.manifest.packages:
            if device in package.devices:
                raise StorageError(
                    f"{device} has a package of its own inside this bundle.",
                    where=str(self.path),
                    hint=f"Open {self.path / package.path}.",
                )
        names = [entry.device for entry in self.manifest.devices]
        names += [name for package in self.manifest.packages for name in package.devices]
        close = nearest(device, names)
        raise StorageError(
            f"The bundle is not compiled for {device}; it is for {', '.join(names) or 'none'}.",
            where=str(self.path),
            hint=f"Did you mean {close}?" if close else "Add it to `devices` and run again.",
        )

    def package_for(self, device: str | None) -> Bundle:
        """The package of a device: one of the others in the bundle, else this one.

        Raises:
            StorageError: as `open`; or its manifest is not the one that this one names.
        """
        for entry in self.manifest.packages:
            if device in entry.devices:
                return self._package(entry)
        return self

    def _package(self, entry: BundlePackage) -> Bundle:
        folder = self.path / entry.path
        if any(part.is_symlink() for part in _inside(self.path, folder)):
            raise _damaged("A link stands where a package should be.", folder)
        found = Bundle.open(folder)
        named = tuple(one.device for one in found.manifest.devices)
        same = (found.manifest.precision, named) == (entry.precision, entry.devices)
        if found.manifest.packages or not same or sha256_file(folder / MANIFEST) != entry.sha256:
            raise _damaged("The package is not the one that the manifest describes.", folder)
        return found

    def compiled(self, device: str) -> Path:
        """The compiled model of a device. Raises `StorageError` where there is none."""
        return self.path / self.device(device).model

    @property
    def host(self) -> Host | None:
        """Head and tail of a classical model; None of a network.

        Raises:
            StorageError: their constants are damaged.
        """
        entry = self.manifest.host
        if entry is None:
            return None
        path = self.path / entry.arrays
        try:
            with zipfile.ZipFile(path) as archive:
                if sum(one.file_size for one in archive.infolist()) > _MAX_GOLDEN_BYTES:
                    raise _damaged("The constants of head and tail are too large.", path)
            stored = open_npz(path)
            names = constants((entry.head, entry.tail))
            arrays = {name: stored[name].whole() for name in names}
            return Host.from_json(entry.model_dump(mode="json"), arrays)
        except DataError as error:
            raise _damaged(f"The constants cannot be read: {error.what}", path) from error
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            what = f"Constants of head and tail are missing ({type(error).__name__})."
            raise _damaged(what, path) from error

    def golden_rows(self, number: int = 0) -> dict[str, Array]:
        """Of a classical model, the rows of a golden sample; of others, nothing.

        Raises:
            StorageError: they cannot be read.
        """
        return self._golden_rows("in.", number)

    def golden_answers(self, number: int = 0) -> dict[str, Array]:
        """Of a classical model, what ONNX Runtime gave for `golden_rows`. Raises as that."""
        return self._golden_rows("out.", number)

    def _golden_rows(self, side: str, number: int) -> dict[str, Array]:
        entry = self.manifest.host
        if entry is None or entry.golden is None:
            return {}
        name = golden_file(entry.golden, number)
        if name not in {file.path for file in self.manifest.files}:
            raise _damaged("The rows of a golden sample are not listed.", name)
        try:
            stored = open_npz(self.path / name)
            wanted = [key for key in stored if key.startswith(side)]
            return {key.removeprefix(side): stored[key].whole() for key in wanted}
        except DataError as error:
            raise _damaged(f"The rows cannot be read: {error.what}", self.path / name) from error

    def golden_feeds(self) -> Iterator[dict[str, Array]]:
        """Feeds of the package, sample by sample. Raises `StorageError`."""
        names = {item.name: (item.dtype, item.shape) for item in self.manifest.inputs}
        yield from self._golden(f"{GOLDEN}/inputs", names)

    def golden_outputs(self, device: str) -> Iterator[dict[str, Array]]:
        """What the simulator of a device gave for `golden_feeds`. Raises `StorageError`."""
        folder = self.device(device).golden
        if folder is None:
            return
        names = {item.name: (item.dtype, item.shape) for item in self.manifest.outputs}
        yield from self._golden(folder, names)

    def _golden(
        self, folder: str, names: dict[str, tuple[str, tuple[int, ...]]]
    ) -> Iterator[dict[str, Array]]:
        listed = {file.path for file in self.manifest.files}
        for number in range(self.manifest.golden_samples):
            name = golden_file(folder, number)
            if name not in listed:
                raise _damaged("A golden sample is not listed.", name)
            yield _read_arrays(self.path / name, names)


def golden_file(folder: str, number: int) -> str:
    """Path of one golden sample inside the bundle."""
    return f"{folder}/{number:04d}.npz"


def _check_file(folder: Path, file: BundleFile) -> None:
    path = folder / file.path
    if any(part.is_symlink() for part in _inside(folder, path)):
        raise _damaged("A link stands where a file should be.", path)
    if not path.is_file():
        raise _damaged("The file is missing from the bundle.", path)
    with storage_errors(path):
        size = path.stat().st_size
    if size != file.bytes:
        raise _damaged(f"The file has {size} bytes and the manifest says {file.bytes}.", path)
    if sha256_file(path) != file.sha256:
        raise _damaged(
            "The file is not the one that the manifest describes (SHA-256 differs).", path
        )


def _damaged(what: str, where: Path | str) -> StorageError:
    return StorageError(what, where=str(where), hint=_MEND)


def _inside(folder: Path, path: Path) -> Iterator[Path]:
    """The path and its parents below the folder."""
    while path != folder:
        yield path
        path = path.parent


def _read_arrays(path: Path, names: dict[str, tuple[str, tuple[int, ...]]]) -> dict[str, Array]:
    """Reads a golden sample; its types and shapes must be those of the manifest."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MAX_GOLDEN_BYTES:
                raise _damaged("A golden sample is too large.", path)
        stored = open_npz(path)
        # Nothing is read before its header is known to be what the manifest says.
        for name, (dtype, shape) in names.items():
            if stored[name].dtype.name != dtype or stored[name].shape != shape:
                raise _damaged(
                    f"The golden sample of '{name}' is {stored[name].dtype} "
                    f"{list(stored[name].shape)} and the manifest says {dtype} {list(shape)}.",
                    path,
                )
        return {name: stored[name].whole() for name in names}
    except DataError as error:
        raise _damaged(f"A golden sample cannot be read: {error.what}", path) from error
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise _damaged(f"A golden sample cannot be read ({type(error).__name__}).", path) from error
