"""What the files for applications are made of, beside the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["ApplicationFacts"]


@dataclass(frozen=True)
class ApplicationFacts:
    """What is known of a model that its manifest does not say.

    Attributes:
        labels: what the classes are called, in order; none where that is not known.
        state: of a model with state, output to the input that takes it at the next step.
    """

    labels: tuple[str, ...] = ()
    state: Mapping[str, str] = field(default_factory=dict)
