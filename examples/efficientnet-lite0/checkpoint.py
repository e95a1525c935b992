"""Reads the tensors of a PyTorch checkpoint with numpy alone, and runs nothing that it holds.

The file is of PyTorch's format before 1.6, a row of pickles and then raw memory:

1. a magic number, 2. a protocol version, 3. a description of the machine that wrote it,
4. the state dictionary, in which every tensor names its storage by a key,
5. the list of storage keys, then for each key, in that order, the number of elements (int64) and
   the elements, little-endian.

A pickle is a program. This reader knows four names (a dictionary, two storage types and the
function that makes a tensor) and refuses any other, so that a file cannot run code of its own.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snapq.errors import ModelError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


@dataclass
class _Storage:
    """Elements that several tensors may share; filled in after the dictionary is read."""

    dtype: np.dtype[np.generic]
    count: int
    data: np.ndarray | None = None


@dataclass(frozen=True)
class _Tensor:
    """A view on a storage: offset, shape and strides are counted in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> np.ndarray:
        """A contiguous copy of the view; refuses one that reaches outside of its storage."""
        data = self.storage.data
        reach = sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        numbers = (self.offset, *self.shape, *self.strides)
        if data is None or min(numbers) < 0 or self.offset + reach >= max(data.size, 1):
            raise ModelError("A tensor of the checkpoint reaches outside of its storage.")
        strides = [s * data.itemsize for s in self.strides]
        view = np.lib.stride_tricks.as_strided(data[self.offset :], self.shape, strides)
        return np.ascontiguousarray(view).reshape(self.shape)


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: Sequence[int], strides: Sequence[int], *_: object
) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


_UNREADABLE = (pickle.UnpicklingError, AttributeError, EOFError, LookupError, TypeError, ValueError)
"""What Python's unpickler raises for bytes that are no pickle."""

_KNOWN: dict[tuple[str, str], object] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _Reader(pickle.Unpickler):
    """An unpickler that knows the names of `_KNOWN` and no other."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> object:
        """Looks a global name up in the table."""
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None

    def persistent_load(self, pid: tuple[str, np.dtype[np.generic], str, str, int, None]) -> object:
        """The storage of a tensor: `("storage", type, key, device, elements, view)`."""
        kind, dtype, key, _, count, view = pid
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError(f"it has a {kind} with a view")
        return self.storages.setdefault(key, _Storage(dtype, count))


def read_checkpoint(content: bytes) -> dict[str, np.ndarray]:
    """Tensors of a checkpoint by name.

    Raises:
        ModelError: the bytes are not a checkpoint of this format, or hold more than tensors.
    """
    file = io.BytesIO(content)
    reader = _Reader(file)
    try:
        head = [_Reader(file).load() for _ in range(2)]
        if head != [_MAGIC, _PROTOCOL]:
            raise pickle.UnpicklingError("its magic number is another one")
        _Reader(file).load()
        tensors = reader.load()
        for key in _Reader(file).load():
            _fill(reader.storages[key], file)
    except _UNREADABLE as error:
        raise ModelError(f"This is not a readable checkpoint: {error}.") from error
    return {name: t.array() for name, t in tensors.items() if isinstance(t, _Tensor)}


def _fill(storage: _Storage, file: io.BytesIO) -> None:
    count = int.from_bytes(file.read(8), "little")
    raw = file.read(storage.count * storage.dtype.itemsize)
    if count != storage.count or len(raw) != storage.count * storage.dtype.itemsize:
        raise ValueError("it ends early")
    storage.data = np.frombuffer(raw, storage.dtype)
