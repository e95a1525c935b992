"""`deployment.json` of a bundle: which deployment it is of, wherever the bundle is copied."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from snapq.bundle import DEPLOYMENT
from snapq.bundle.entries import Entry, Sha256, Text
from snapq.bundle.manifest import read_manifest, write_manifest
from snapq.bundle.schema import BundleFile
from snapq.errors import StorageError
from snapq.storage import sha256_file, storage_errors, write_json

__all__ = ["BundleDeployment", "read_deployment", "write_deployment"]

_MOST_BYTES = 1 << 16


class BundleDeployment(Entry):
    """What a bundle is of, beyond the bytes of its model."""

    deployment: Text
    """`name` of the deploy.yaml."""
    given_sha256: Sha256
    """Of the model as given, before any stage."""
    stage: Text
    """The last stage, which made the model."""
    calibration_sha256: Sha256 | None = None
    evaluation_sha256: Sha256 | None = None


def write_deployment(folder: Path, told: BundleDeployment) -> None:
    """Writes the file into a bundle, and lists it in the manifest.

    Raises:
        StorageError: the bundle cannot be read or written.
    """
    manifest = read_manifest(folder)
    path = folder / DEPLOYMENT
    write_json(path, told.model_dump(mode="json", exclude_none=True))
    with storage_errors(path):
        entry = BundleFile(path=DEPLOYMENT, bytes=path.stat().st_size, sha256=sha256_file(path))
    files = [*(one for one in manifest.files if one.path != DEPLOYMENT), entry]
    files.sort(key=lambda one: one.path)
    write_manifest(folder, manifest.model_copy(update={"files": tuple(files)}))


def read_deployment(folder: Path) -> BundleDeployment | None:
    """What a bundle says of its deployment; None where it says nothing that holds."""
    path = folder / DEPLOYMENT
    try:
        listed = {one.path: one for one in read_manifest(folder).files}
        entry = listed.get(DEPLOYMENT)
        if entry is None or entry.bytes > _MOST_BYTES or sha256_file(path) != entry.sha256:
            return None
        with storage_errors(path):
            return BundleDeployment.model_validate(json.loads(path.read_bytes()))
    except (StorageError, ValidationError, ValueError, RecursionError):
        return None
