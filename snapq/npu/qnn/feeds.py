"""What one inference takes and gives, and the check that a feed is exactly that."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snapq.errors import DataError, nearest
from snapq.npu.qnn.tasks import Input

__all__ = ["Feed", "Outputs", "check_feed"]

Feed = Mapping[str, np.ndarray]
Outputs = dict[str, np.ndarray]


def check_feed(feed: Outputs, inputs: tuple[Input, ...], index: int) -> None:
    """Refuses a feed that is not exactly what the model takes. Raises `DataError`."""
    where = f"sample {index}"
    known = {value.name: value for value in inputs}
    for name in feed:
        if name not in known:
            close = nearest(name, known)
            raise DataError(
                f"The model has no input {name!r}; it has {', '.join(known)}.",
                where=where,
                hint=f"Did you mean {close!r}?" if close else None,
            )
    for name, value in known.items():
        array = feed.get(name)
        if array is None:
            raise DataError(f"The input {name!r} is missing.", where=where, hint="Give it.")
        if not isinstance(array, np.ndarray) or array.dtype.name != value.dtype:
            found = array.dtype.name if isinstance(array, np.ndarray) else type(array).__name__
            raise DataError(
                f"The input {name!r} takes {value.dtype}, not {found}.",
                where=where,
                hint=f"Convert it with astype('{value.dtype}').",
            )
        if array.shape != value.shape:
            raise DataError(
                f"The input {name!r} takes shape {_shown(value.shape)}, not {_shown(array.shape)}.",
                where=where,
                hint="Give one sample of this shape.",
            )


def _shown(shape: tuple[int | str | None, ...]) -> str:
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"
