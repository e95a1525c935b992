"""An Artifact: a folder with a model and what is known of it.

`model.onnx` (and `model.onnx.data` where the model is large) stands beside `artifact.json`, which
holds the SHA-256 of every file of the folder. An artifact that does not match is not used.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from snapq.errors import StorageError
from snapq.records import Record
from snapq.storage import fingerprint, sha256_file, storage_errors, write_json
from snapq.version import shown

MODEL = "model.onnx"
RECORD = "artifact.json"
SENSITIVITY = "sensitivity.json"
"""What quantizing each tensor alone costs, beside a model of mixed precision."""
TRADEOFF = "tradeoff.json"
"""Every candidate of mixed precision, beside the model."""
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
    changed: dict[str, str] = Field(default_factory=dict)
    """Where the stage changed what the model computes, the models that it made: label to file."""
    failures: tuple[str, ...] = ()
    """What failed on the way; a result that rests on it is not kept for later runs."""
    sha256: str = ""
    """Hash of this record without this field."""

    def hashed(self) -> str:
        """What `sha256` has to be."""
        return fingerprint(self.model_dump(mode="json", exclude={"sha256"}))


@dataclass(frozen=True)
class Artifact:
    """A model on disk with what is known of it.

    Attributes:
        folder: holds the model, `artifact.json` and what else the stage wrote.
        record: what `artifact.json` holds.
    """

    folder: Path
    record: ArtifactRecord

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
        failures: tuple[str, ...] = (),
        changed: Mapping[str, str] | None = None,
    ) -> Artifact:
        """Hashes what a stage left in `folder`, writes `artifact.json`. Raises `StorageError`."""
        files = {name: sha256_file(folder / name) for name in _listed(folder)}
        record = ArtifactRecord(
            stage=stage,
            precision=precision,
            files=files,
            seconds=seconds,
            notes=notes,
            details=dict(details),
            failures=failures,
            changed=dict(changed or {}),
        )
        # Details are hashed as JSON gives them back.
        record = ArtifactRecord.model_validate_json(record.model_dump_json())
        record = record.model_copy(update={"sha256": record.hashed()})
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
            content = path.read_bytes()
        try:
            record = ArtifactRecord.model_validate_json(content)
        except ValidationError as error:
            raise StorageError("This is not an artifact record.", where=str(path)) from error
        if record.sha256 != record.hashed():
            raise StorageError("The record has changed since it was written.", where=str(path))
        if sorted(record.files) != _listed(folder):
            raise StorageError("These are not the files of the record.", where=str(folder))
        for name, sha256 in record.files.items():
            if sha256_file(folder / name) != sha256:
                raise StorageError("The file has changed since it was written.", where=name)
        return cls(folder, record)


def _listed(folder: Path) -> list[str]:
    """The files of an artifact's folder, without its record."""
    files = (path for path in folder.rglob("*") if path.is_file())
    names = sorted(path.relative_to(folder).as_posix() for path in files)
    return [name for name in names if name != RECORD]


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


def computing() -> dict[str, str]:
    """What results depend on beside their inputs; machines that say the same compute the same."""
    return {
        "snapq": shown(),
        "code": code_fingerprint(),
        "python": ".".join(platform.python_version_tuple()[:2]),
        **library_versions(),
    }


@cache
def code_fingerprint() -> str:
    """SHA-256 over snapq's own code and tables: other code's results are not taken for its own."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        # Device profiles lie here in a wheel; each counts where a device is read.
        if path.suffix in {".py", ".yaml"} and "device_profiles" not in path.parts:
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
