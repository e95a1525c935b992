"""DLC containers: archives in ZIP form, with parts stored as they are and without checksums.

Qualcomm writes the time of day into their metadata, the only thing that differs from run to run;
`erase_times` makes them the same for the same model.
"""

from __future__ import annotations

import re
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from snapq.errors import QnnError
from snapq.storage import storage_errors

_LOCAL_HEADER = 30
_METADATA = "dlc.metadata"
_TIME = re.compile(rb'("timestamp":\s*")\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC(")')
_NO_TIME = rb"\g<1>1980-01-01 00:00:00 UTC\g<2>"


@dataclass(frozen=True)
class Part:
    """A part of a container, in bytes from the start of the file."""

    name: str
    offset: int
    size: int


def is_container(path: Path) -> bool:
    """Whether the file is a DLC container."""
    with storage_errors(path), path.open("rb"):
        return zipfile.is_zipfile(path)


def parts(path: Path) -> tuple[Part, ...]:
    """The parts of a container, in its order.

    Raises:
        QnnError: the file is no container, is damaged, or packs its parts.
        StorageError: it cannot be read.
    """
    with storage_errors(path), path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return tuple(_part(file, path, info) for info in archive.infolist())
        except zipfile.BadZipFile as error:
            raise QnnError(
                f"This container (DLC) is damaged: {error}.",
                where=path.name,
                hint="Compile the model again.",
            ) from error


def read(path: Path, part: Part) -> bytes:
    """The bytes of one part. Raises `StorageError`."""
    with storage_errors(path), path.open("rb") as file:
        file.seek(part.offset)
        return file.read(part.size)


def erase_times(path: Path) -> None:
    """Sets every time in a container's metadata to 1980; lengths and offsets stay.

    Raises:
        QnnError: the file is no container or is damaged.
        StorageError: it cannot be read or written.
    """
    for part in parts(path):
        if not part.name.startswith(_METADATA):
            continue
        data = read(path, part)
        with storage_errors(path), path.open("r+b") as file:
            file.seek(part.offset)
            file.write(_TIME.sub(_NO_TIME, data))


def _part(file: BinaryIO, path: Path, info: zipfile.ZipInfo) -> Part:
    """Where a part's bytes begin: after its own header, whose length the directory leaves out."""
    file.seek(info.header_offset)
    header = file.read(_LOCAL_HEADER)
    if info.compress_type != zipfile.ZIP_STORED or len(header) != _LOCAL_HEADER:
        raise QnnError("The container is damaged.", where=path.name)
    name_size, extra_size = struct.unpack("<HH", header[26:30])
    start = info.header_offset + _LOCAL_HEADER + name_size + extra_size
    return Part(info.filename, start, info.file_size)
