"""Reads a stack of samples out of a `.npy` file or a member of an `.npz`, one sample at a time.

numpy loads a member of an `.npz` whole. Here its bytes are read (and unpacked) as far as they are
needed, so that memory does not grow with the number of samples.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from snapq.errors import DataError, SnapqError
from snapq.evaluation.samples import Array


@dataclass(frozen=True)
class ArrayFile:
    """A whole array on disk: `key` in an `.npz` or all of a `.npy`, after `offset` bytes."""

    path: Path
    key: str | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int

    @property
    def where(self) -> str:
        """How a message names it: `file.npz[key]`."""
        return str(self.path) if self.key is None else f"{self.path}[{self.key}]"

    def whole(self) -> Array:
        """The whole array."""
        return next(self._blocks((0,), self.shape))

    def slices(self, indices: tuple[int, ...]) -> Iterator[Array]:
        """Elements `array[i]` for rising indices `i`, one in memory at a time."""
        yield from self._blocks(indices, self.shape[1:])

    def _blocks(self, indices: tuple[int, ...], shape: tuple[int, ...]) -> Iterator[Array]:
        size = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        with readable(self.path), _member(self.path, self.key) as stream:
            for index in indices:
                stream.seek(self.offset + index * size)
                block = stream.read(size)
                if len(block) != size:
                    raise DataError(
                        f"The file ends before sample {index}.",
                        where=self.where,
                        hint="Write it anew.",
                    )
                yield np.frombuffer(block, self.dtype).reshape(shape)


def open_npy(path: Path) -> ArrayFile:
    """Reads the header of a `.npy` file. Raises `DataError`."""
    with readable(path), path.open("rb") as stream:
        return _header(path, None, stream, path.stat().st_size)


def open_npz(path: Path) -> dict[str, ArrayFile]:
    """Reads the headers of an `.npz` file, by key. Raises `DataError`."""
    with readable(path), zipfile.ZipFile(path) as archive:
        arrays = {}
        for member in archive.infolist():
            key = member.filename.removesuffix(".npy")
            with archive.open(member) as stream:
                arrays[key] = _header(path, key, stream, member.file_size)
        return arrays


def _header(path: Path, key: str | None, stream: IO[bytes], size: int) -> ArrayFile:
    """What the first bytes of an array of `size` bytes say; what they promise has to be there."""
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"the version of its format is {version}")
    shape, fortran_order, dtype = read(stream)
    array = ArrayFile(path, key, shape, dtype, stream.tell())
    promised = array.offset + math.prod(shape) * dtype.itemsize
    if promised > size or min(shape, default=0) < 0 or (dtype.itemsize == 0 and shape):
        raise DataError(
            f"Its header promises {list(shape)} of {dtype}, and the file ends before that.",
            where=array.where,
            hint="Write it anew, or copy it again.",
        )
    if dtype.hasobject:
        hint = "Store samples of one shape and type: numpy.save(path, numpy.stack(samples))."
        raise DataError("It holds Python objects and not numbers.", where=array.where, hint=hint)
    if fortran_order and len(shape) > 1:
        raise DataError(
            "It is stored column by column (Fortran order), so samples cannot be read one by one.",
            where=array.where,
            hint="Write it as numpy.save(path, numpy.ascontiguousarray(array)).",
        )
    return array


@contextmanager
def _member(path: Path, key: str | None) -> Iterator[IO[bytes]]:
    if key is None:
        with path.open("rb") as stream:
            yield stream
    else:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as stream:
            yield stream


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns whatever numpy or zipfile find wrong with a file into a `DataError`."""
    try:
        yield
    except SnapqError:
        raise
    except Exception as error:
        # For a damaged header numpy raises errors of many kinds, of Python's own parser too.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"It is not a readable {path.suffix} file: {reason.rstrip('.')}.",
            where=str(path),
            hint="Write it anew with numpy.save or numpy.savez.",
        ) from error
