"""What the manifest says of packages of other devices."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from snapq.bundle.entries import BundlePath, DeviceName, Entry, Sha256, Text, as_tuple

__all__ = ["BundlePackage"]


class BundlePackage(Entry):
    """A bundle inside the bundle, for devices that have a model of their own."""

    path: BundlePath
    """Its folder."""
    precision: Text
    """Its precision, such as `w8a16`."""
    devices: Annotated[tuple[DeviceName, ...], BeforeValidator(as_tuple), Field(min_length=1)]
    """Which devices it is for."""
    sha256: Sha256
    """Of its `manifest.json`, which has the hashes of its files."""
