"""The ways to rank channels, by the names that YAML and command line use."""

from __future__ import annotations

from enum import StrEnum


class Importance(StrEnum):
    """How the prune stage ranks channels."""

    MAGNITUDE = "magnitude"
    ACTIVATION = "activation"
    SECOND_ORDER = "second-order"
    TAYLOR = "taylor"
