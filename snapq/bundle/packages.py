"""Packages of other devices in a bundle: bundles of their own, which the outer manifest names.

An application takes the package of its device (`snapq_io.load(folder, device)`), and a board gets
nothing of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from snapq.bundle import MANIFEST
from snapq.bundle.application.write import README
from snapq.bundle.manifest import read_manifest, write_manifest
from snapq.bundle.package_schema import BundlePackage
from snapq.bundle.schema import WITH_BATCH, WITH_PACKAGES, BundleFile, Manifest
from snapq.storage import sha256_file, storage_errors, write_text

__all__ = ["add_packages"]


def add_packages(folder: Path, packages: Sequence[Path]) -> None:
    """Writes into the manifest of a bundle which bundles inside its folder are for other devices.

    Raises:
        StorageError: a manifest cannot be read or written.
    """
    found = []
    for package in packages:
        manifest = read_manifest(package)
        found.append(
            BundlePackage(
                path=package.relative_to(folder).as_posix(),
                precision=manifest.precision,
                devices=tuple(entry.device for entry in manifest.devices),
                sha256=sha256_file(package / MANIFEST),
            )
        )
    outer = read_manifest(folder)
    _tell(folder / README, outer, found)
    files = tuple(_hashed(folder, one) if one.path == README else one for one in outer.files)
    version = WITH_PACKAGES if outer.batch == 1 else WITH_BATCH
    changes = {"packages": tuple(found), "schema_version": version, "files": files}
    write_manifest(folder, outer.model_copy(update=changes))


def _tell(readme: Path, outer: Manifest, packages: Sequence[BundlePackage]) -> None:
    """Appends to the README of the bundle which package is for which device."""
    with storage_errors(readme):
        if not readme.is_file():
            return
        text = readme.read_text(encoding="utf-8")
    own = ", ".join(entry.device for entry in outer.devices)
    rows = [(own, _kind(outer), "this folder")]
    for one in packages:
        inner = read_manifest(readme.parent / one.path)
        rows.append((", ".join(one.devices), _kind(inner), f"`{one.path}`"))
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    write_text(
        readme,
        f"{text.rstrip()}\n\n## Packages of other devices\n\n"
        "Each kind of device has the precision, and the samples of a call, that are fastest for "
        "it. What stands above is said "
        "of the first; each other package is a bundle of its own, with its own README.md. "
        "`snapq_io.load(folder, device)` and `verify.py --device` take that of the device.\n\n"
        f"| devices | package | place |\n|---|---|---|\n{table}",
    )


def _kind(manifest: Manifest) -> str:
    """`w8a8`, or `w8a8, 8 samples a call`."""
    if manifest.batch == 1:
        return manifest.precision
    return f"{manifest.precision}, {manifest.batch} samples a call"


def _hashed(folder: Path, file: BundleFile) -> BundleFile:
    """The entry of a file that was written anew."""
    path = folder / file.path
    with storage_errors(path):
        return BundleFile(path=file.path, bytes=path.stat().st_size, sha256=sha256_file(path))
