"""One step of the host's part: what is done to which values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Step:
    """One operation in SSA form: every value has a name and is made once.

    Attributes:
        op: name of the operation in the table of steps; those that an ONNX operator defines have
            its name.
        inputs: names of the values that it reads; an empty name is an input that is left out.
        outputs: names of the values that it makes.
        attributes: what JSON can hold (numbers, strings, lists of these).
        arrays: constants that it needs, by name.
    """

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
