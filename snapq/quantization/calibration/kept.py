"""Arrays that are made once and read many times: a few in memory, the others in a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt

from snapq.scratch import Scratch
from snapq.storage import storage_errors

__all__ = ["KeptArrays", "Place"]

Array = npt.NDArray[np.generic]

_IN_MEMORY = 32 << 20
"""Bytes that stay in memory; what comes later goes to the file, which the system caches."""


@dataclass(frozen=True)
class Place:
    """Where an array is: in memory, or behind so many bytes of the file."""

    array: Array | None
    offset: int = 0
    shape: tuple[int, ...] = ()
    dtype: np.dtype[np.generic] | None = None


class KeptArrays:
    """Keeps arrays for as long as it lives.

    Raises:
        StorageError: the temporary file cannot be written.
    """

    def __init__(self, in_memory: int = _IN_MEMORY) -> None:
        self._left = in_memory
        self._scratch: Scratch | None = None
        self._file: IO[bytes] | None = None
        self._end = 0

    def add(self, array: Array) -> Place:
        """Keeps an array, which must not be changed afterwards."""
        if array.nbytes <= self._left or array.dtype.hasobject:
            self._left -= array.nbytes
            return Place(array)
        if self._scratch is None or self._file is None:
            self._scratch = Scratch()
            path = self._scratch.path / "arrays"
            with storage_errors(path):
                self._file = path.open("w+b", buffering=0)
        place = Place(None, self._end, array.shape, array.dtype)
        with storage_errors(self._scratch.path):
            self._file.seek(self._end)
            data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
            while data:
                data = data[self._file.write(data) :]
        self._end += array.nbytes
        return place

    def read(self, place: Place) -> Array:
        """An array that was kept; not to be changed."""
        if place.array is not None:
            return place.array
        assert self._file is not None
        assert self._scratch is not None
        assert place.dtype is not None
        result = np.empty(place.shape, place.dtype)
        data = result.reshape(-1).view(np.uint8).data
        with storage_errors(self._scratch.path):
            self._file.seek(place.offset)
            while data:
                data = data[self._file.readinto(data) :]  # type: ignore[attr-defined]
        return result
