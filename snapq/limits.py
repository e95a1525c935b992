"""How much memory and processor time a model that is not ours may take to be read and converted.

A file of some bytes can declare tensors of terabytes, functions that call each other until there
are billions of nodes, or loops without end. What is allowed grows with the file, so that large
models need no setting; whoever needs more says so by two variables of the environment.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import isfinite

from snapq.errors import ConfigError

__all__ = ["MEMORY_VARIABLE", "TIME_VARIABLE", "Limits", "limits_for"]

MEMORY_VARIABLE = "SNAPQ_MODEL_MEMORY_GB"
TIME_VARIABLE = "SNAPQ_MODEL_CPU_SECONDS"

_GB = 1 << 30
_LEAST_MEMORY = 4 * _GB
_COPIES = 6
"""Of the weights: as read, as converted, in the file, and in ONNX Runtime, before and after."""
_ACTIVATIONS = 100
"""Times the bytes of the inputs: 64 channels of floats for a byte of a picture, and some more."""
_SHARE = 0.8
"""Of the machine's memory."""
_LEAST_SECONDS = 30.0
_SECONDS_A_NODE = 0.05
_SECONDS_A_MB = 0.2


@dataclass(frozen=True)
class Limits:
    """What one model may take.

    Attributes:
        memory: bytes.
        seconds: processor seconds.
    """

    memory: int
    seconds: float

    @property
    def memory_hint(self) -> str:
        """What to do about a model that takes more memory."""
        return (
            f"The limit is {self.memory / _GB:.3g} GB; where the model is sound, raise it: "
            f"{MEMORY_VARIABLE}=64"
        )

    @property
    def time_hint(self) -> str:
        """What to do about a model that takes longer."""
        return f"Where the model is sound, raise the limit: {TIME_VARIABLE}=3600"


def limits_for(weight_bytes: int = 0, nodes: int = 0, input_bytes: int = 0) -> Limits:
    """The limits of a model of this size, or those that the environment sets.

    Args:
        weight_bytes: of the file and of what lies beside it.
        nodes: of all graphs and functions.
        input_bytes: of one sample.

    Raises:
        ConfigError: a variable of the environment is no number above 0.
    """
    needed = _LEAST_MEMORY + _COPIES * weight_bytes + _ACTIVATIONS * input_bytes
    memory = _given(MEMORY_VARIABLE)
    seconds = _given(TIME_VARIABLE)
    usual = _LEAST_SECONDS + _SECONDS_A_NODE * nodes + _SECONDS_A_MB * weight_bytes / 1e6
    return Limits(
        min(needed, int(_SHARE * _machine_memory())) if memory is None else int(memory * _GB),
        usual if seconds is None else seconds,
    )


def _given(variable: str) -> float | None:
    text = os.environ.get(variable)
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not isfinite(number) or not 0 < number < 1e6:
        raise ConfigError(
            f"'{text}' is not a number above 0.", where=variable, hint=f"Write {variable}=64"
        )
    return number


def _machine_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on every system
        return 64 * _GB
