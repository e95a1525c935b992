"""What a search is of: the same for all who work on it, kept in its storage without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from snapq.searching.space import Space


@dataclass(frozen=True)
class Plan:
    """What a search is of; the same for all who work on it.

    Attributes:
        name: of the deployment.
        base: the deploy.yaml as JSON values, without secrets, benchmark and `search`.
        folder: of the file.
        device: whose estimate counts.
        space: what is varied.
        first: choices to begin with.
        seed: of what is random.
        sampler: who proposes points.
        random_inputs: whether random inputs stand for data that is not named.
        secrets: names of secret variables that the file has.
        float_values: metrics of the float model as the file has it.
        loss: what the second objective is: a metric's name, `SQNR` or `equal answers`.
        notes: for the reader.
    """

    name: str
    base: Mapping[str, Any]
    folder: str
    device: str
    space: Space
    first: tuple[Mapping[str, Any], ...]
    seed: int
    sampler: str = "tpe"
    random_inputs: bool = False
    secrets: tuple[str, ...] = ()
    float_values: Mapping[str, float] | None = None
    loss: str = "SQNR"
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "space": self.space.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Plan:
        """The opposite of `to_json`."""
        tuples = {name: tuple(values[name]) for name in ("first", "secrets", "notes")}
        return cls(**{**values, **tuples, "space": Space.from_json(values["space"])})
