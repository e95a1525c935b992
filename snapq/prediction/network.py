"""What a prediction asks of a network beside its estimate."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Features", "Kind"]


class Kind(StrEnum):
    """A kind of network with a fit of its own."""

    ANY = "any"
    """No kind in particular: a fit of all."""
    CONVOLUTIONAL = "convolutional"
    TRANSFORMER = "transformer"
    """A Softmax weighs values: its output is a factor of a product of matrices."""
    RECURRENT = "recurrent"
    """It has layers with a state, of which the public figures have none to compare with."""


@dataclass(frozen=True)
class Features:
    """What of a model a prediction rests on.

    Attributes:
        precisions: `float`, `w8a8`, `w8a16`, `4-bit weights`, the one with most
            multiply-accumulates first; those with less than a tenth of them do not count.
        kind: of the network.
        boundary_bytes: of all inputs and outputs of one inference.
        nodes: without Q, DQ and constants.
        macs: multiply-accumulates of one inference.
        normalized: values of pictures among the inputs that it normalizes before any layer.
    """

    precisions: tuple[str, ...]
    kind: Kind
    boundary_bytes: int
    nodes: int
    macs: int
    normalized: int = 0
