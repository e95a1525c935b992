"""An Artifact: a folder with a model and what is known of it.

`model.onnx` (and `model.onnx.data` where the model is large) stands beside `artifact.json`, which
holds the SHA-256 of every file of the folder. An artifact that does not match is not used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from snapq.devices.profiles import PACKAGED
from snapq.errors import StorageError
from snapq.records import Record
from snapq.storage import sha256_file, storage_errors, write_json

MODEL = "model.onnx"
RECORD = "artifact.json"
LIBRARIES = ("onnx", "onnx-ir", "onnxruntime", "onnxruntime-qnn", "numpy", "pillow", "torch")


class ArtifactRecord(Record):
    """The content of `artifact.json`."""

    stage: str
    precision: str
    """`float`, or weights and activations such as `w8a8`."""
    files: dict[str, str]
    """Path inside the folder to SHA-256."""
    seconds: float
    notes: tuple[str, ...] = ()
    details: dict[str, Any] = Field(default_factory=dict)


class Artifact:
    """A model on disk with what is known of it.

    Args:
        folder: holds the model, `artifact.json` and what else the stage wrote.
        record: what `artifact.json` holds.
    """

    def __init__(self, folder: Path, record: ArtifactRecord) -> None:
        self.folder = folder
        self.record = record

    @property
    def model(self) -> Path:
        """Path of the ONNX model."""
        return self.folder / MODEL

    @property
    def precision(self) -> str:
        """`float`, or weights and activations such as `w8a8`."""
        return self.record.precision

    @property
    def sha256(self) -> str:
        """Hash over all files of the artifact."""
        return fingerprint(self.record.files)

    @classmethod
    def write(
        cls,
        folder: Path,
        *,
        stage: str,
        precision: str,
        seconds: float,
        notes: tuple[str, ...],
        details: Mapping[str, Any],
    ) -> Artifact:
        """Hashes what a stage left in `folder`, writes `artifact.json`. Raises `StorageError`."""
        files = {
            path.relative_to(folder).as_posix(): sha256_file(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        record = ArtifactRecord(
            stage=stage,
            precision=precision,
            files=files,
            seconds=seconds,
            notes=notes,
            details=dict(details),
        )
        write_json(folder / RECORD, record.model_dump(mode="json"))
        return cls(folder, record)

    @classmethod
    def read(cls, folder: Path) -> Artifact:
        """Opens an artifact and checks every file of it.

        Raises:
            StorageError: a file is missing, or is not what `artifact.json` says.
        """
        path = folder / RECORD
        with storage_errors(path):
            text = path.read_text(encoding="utf-8")
        try:
            record = ArtifactRecord.model_validate_json(text)
        except ValidationError as error:
            raise StorageError("This is not an artifact record.", where=str(path)) from error
        for name, sha256 in record.files.items():
            if sha256_file(folder / name) != sha256:
                raise StorageError("The file has changed since it was written.", where=name)
        return cls(folder, record)


def fingerprint(value: object) -> str:
    """SHA-256 over the canonical JSON of `value`, in hexadecimal."""
    text = json.dumps(value, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@cache
def library_versions() -> dict[str, str]:
    """Versions of the libraries whose work is in a run's results; absent ones are left out."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def code_fingerprint() -> str:
    """SHA-256 over snapq's own files: results of other code are never taken for this code's.

    The packaged device profiles count too, wherever they lie.
    """
    digest = hashlib.sha256()
    for root in (Path(__file__).parents[1], PACKAGED):
        for path in sorted(root.rglob("*")):
            if path.suffix in {".py", ".yaml"}:
                digest.update(path.relative_to(root).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()
