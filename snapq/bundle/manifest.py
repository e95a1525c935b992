"""Reads and writes `manifest.json`, and turns the boundary into its inputs and outputs and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from snapq.bundle import MANIFEST
from snapq.bundle.schema import (
    SCHEMAS,
    WITH_BATCH,
    WITH_HOST,
    WITH_PACKAGES,
    BundleImage,
    BundleInput,
    BundleOutput,
    BundleTensor,
    Manifest,
    ModelTensor,
    QuantizedAs,
)
from snapq.errors import StorageError
from snapq.graph.boundary import Boundary, ImageFeed, InputBoundary, OutputBoundary
from snapq.storage import storage_errors, write_json

MAX_MANIFEST_BYTES = 16 << 20


def read_manifest(folder: Path) -> Manifest:
    """Reads and checks `manifest.json`.

    Raises:
        StorageError: it is missing, too large, not JSON, of another schema, holds what it must
            not, or was changed after it was written.
    """
    path = folder / MANIFEST
    hint = "Copy the bundle again, or build it anew with `snapq run`."
    if path.is_symlink() or not path.is_file():
        raise StorageError("There is no manifest here: this is not a bundle.", where=str(path))
    with storage_errors(path):
        size = path.stat().st_size
        if size > MAX_MANIFEST_BYTES:
            raise StorageError(f"The manifest has {size} bytes.", where=str(path), hint=hint)
        data = path.read_bytes()
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise StorageError(
            f"The manifest is not JSON ({type(error).__name__}).", where=str(path), hint=hint
        ) from error
    found = value.get("schema_version") if isinstance(value, dict) else None
    if found not in SCHEMAS:
        known = f"{', '.join(SCHEMAS[:-1])} and {SCHEMAS[-1]}"
        raise StorageError(
            f"The manifest is of schema {_shown(found)}; this snapq reads {known}.",
            where=str(path),
            hint="Use the snapq that wrote the bundle, or build it anew.",
        )
    try:
        manifest = Manifest.model_validate(value)
    except (ValidationError, RecursionError, OverflowError) as error:
        raise StorageError(
            f"The manifest is damaged: {_first(error)}.", where=str(path), hint=hint
        ) from error
    if manifest.checksum is None and found not in (
        WITH_HOST,
        WITH_PACKAGES,
        WITH_BATCH,
    ):  # of a former version
        return manifest
    if manifest.checksum != checksum_of(value):
        raise StorageError(
            "The manifest was changed after the bundle was written (its checksum differs).",
            where=str(path),
            hint=hint,
        )
    return manifest


def checksum_of(value: Mapping[str, Any]) -> str:
    """SHA-256 over what a manifest says, but not over how it is laid out, nor over itself."""
    said = {key: part for key, part in value.items() if key != "checksum"}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes `manifest.json`. Raises `StorageError`."""
    value = manifest.model_dump(mode="json")
    for entry in value["devices"]:
        if entry["fault"] is None:  # as every manifest was before there were any
            del entry["fault"]
        if not entry["answers"]:
            del entry["answers"]
    for image in filter(None, (entry["image"] for entry in value["inputs"])):
        if image["letterbox"] is None:  # as every manifest was before there were any
            del image["letterbox"], image["fill"]
        if image["align"] == "center":
            del image["align"]
    if manifest.batch == 1:  # which no version before 5 knows
        del value["batch"]
    if manifest.tail is None:  # which version 1 does not know
        del value["tail"]
    if manifest.host is None:
        del value["host"]
    if not manifest.packages:
        del value["packages"]
    value["checksum"] = checksum_of(value)
    write_json(folder / MANIFEST, value)


def input_entry(item: InputBoundary, batch: int = 1) -> BundleInput:
    """An input of the manifest from the boundary's, of calls of so many samples."""
    image = item.image
    return BundleInput(
        **_tensor(item, batch),
        image=None if image is None else BundleImage(**vars(image)),
        raw=item.raw,
        folded=item.folded,
        channel_axis=item.channel_axis,
    )


def output_entry(item: OutputBoundary, batch: int = 1) -> BundleOutput:
    """An output of the manifest from the boundary's, of calls of so many samples."""
    return BundleOutput(**_tensor(item, batch))


def boundary_of(manifest: Manifest) -> Boundary:
    """The boundary of a bundle's package."""
    batch = manifest.batch
    return Boundary(
        tuple(_input_boundary(item, batch) for item in manifest.inputs),
        gives_codes=any(item.encoding for item in manifest.outputs),
        gives_nhwc=any(item.permutation for item in manifest.outputs),
        outputs=tuple(OutputBoundary(**_boundary(item, batch)) for item in manifest.outputs),
        batch=batch,
    )


def _tensor(item: InputBoundary | OutputBoundary, batch: int) -> dict[str, Any]:
    """The fields that inputs and outputs of the manifest share."""
    encoding = None
    if item.quantized and item.scale is not None and item.zero_point is not None:
        encoding = QuantizedAs(scale=item.scale, zero_point=item.zero_point)
    return {
        "name": item.name,
        "dtype": item.dtype or item.model_dtype,
        "shape": _of_call(item.shape, batch),
        "layout": item.layout,
        "encoding": encoding,
        "permutation": item.permutation,
        "model": ModelTensor(dtype=item.model_dtype, shape=_of_call(item.model_shape, batch)),
    }


def _of_call(shape: tuple[int, ...], batch: int) -> tuple[int, ...]:
    return shape if batch == 1 else (shape[0] * batch, *shape[1:])


def _boundary(item: BundleTensor, batch: int) -> dict[str, Any]:
    """The fields that inputs and outputs of the boundary share; shapes are of one sample."""
    shape = item.model.shape
    return {
        "name": item.name,
        "model_dtype": item.model.dtype,
        "model_shape": shape if batch == 1 else (shape[0] // batch, *shape[1:]),
        "quantized": item.encoding is not None,
        "dtype": item.dtype,
        "scale": item.encoding.scale if item.encoding else None,
        "zero_point": item.encoding.zero_point if item.encoding else None,
        "permutation": item.permutation,
    }


def _input_boundary(item: BundleInput, batch: int) -> InputBoundary:
    return InputBoundary(
        **_boundary(item, batch),
        channel_axis=item.channel_axis,
        image=None if item.image is None else ImageFeed(**dict(item.image)),
        raw=item.raw,
        folded=item.folded,
    )


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _shown(value: object, limit: int = 60) -> str:
    text = value if isinstance(value, str) else type(value).__name__
    return "".join(c if c.isprintable() else "?" for c in text[:limit])


def _first(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "numbers or nesting beyond all measure"
    problem = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(_shown(str(part)) for part in problem["loc"]) or "manifest"
    return f"{where}: {_shown(problem['msg'], 200)}"
