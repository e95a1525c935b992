"""Packages of other devices in a bundle: bundles of their own, which the outer manifest names.

An application takes the package of its device (`snapq_io.load(folder, device)`), and a board gets
nothing of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from snapq.bundle import MANIFEST
from snapq.bundle.manifest import read_manifest, write_manifest
from snapq.bundle.package_schema import BundlePackage
from snapq.bundle.schema import WITH_PACKAGES
from snapq.storage import sha256_file

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
    changes = {"packages": tuple(found), "schema_version": WITH_PACKAGES}
    write_manifest(folder, outer.model_copy(update=changes))
