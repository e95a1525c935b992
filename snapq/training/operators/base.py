"""What an operator of the interpreter is: a function of tensors, and which inputs are constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

__all__ = ["Array", "Attributes", "Operator", "Unsupported", "axis_list"]

Array = npt.NDArray[np.generic]


class Unsupported(Exception):  # noqa: N818 - not an error of its own: the module names the node
    """A form of an operator that training cannot run; the message says which, in one clause."""


@dataclass(frozen=True)
class Attributes:
    """The attributes of one node, and how many outputs it has.

    Attributes:
        values: by name, as Python values.
        outputs: number of outputs.
    """

    values: Mapping[str, Any]
    outputs: int

    @classmethod
    def of(cls, node: ir.Node) -> Attributes:
        """Reads them from a node."""
        values = {}
        for name, attribute in node.attributes.items():
            value = attribute.value
            values[name] = (
                tuple(value)
                if isinstance(value, Sequence | tuple) and not isinstance(value, str | bytes)
                else value
            )
        return cls(values, len(node.outputs))

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def integer(self, name: str, default: int = 0) -> int:
        """A whole number."""
        return int(self.values.get(name, default))

    def real(self, name: str, default: float) -> float:
        """A real number."""
        return float(self.values.get(name, default))

    def integers(self, name: str, default: Sequence[int] = ()) -> tuple[int, ...]:
        """A list of whole numbers."""
        return tuple(int(value) for value in self.values.get(name, default))

    def text(self, name: str, default: str = "") -> str:
        """A text."""
        value = self.values.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)


@dataclass(frozen=True)
class Operator:
    """How one ONNX operator is computed.

    Attributes:
        run: called with the attributes and the inputs (None for those left out), gives a tensor or
            a tuple of tensors.
        static: indices of inputs that have to be constants; `run` gets them as numpy arrays.
        weights: indices of inputs that are weights where they are constants, and can be trained.
    """

    run: Callable[..., Any]
    static: tuple[int, ...] = ()
    weights: tuple[int, ...] = ()


def axis_list(array: Array | None) -> tuple[int, ...]:
    """A constant of whole numbers (axes, sizes, indices) as a tuple; empty where there is none."""
    return () if array is None else tuple(int(value) for value in np.asarray(array).reshape(-1))
