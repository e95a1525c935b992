"""What a search varies: its dimensions, and the deploy.yaml of a choice of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from snapq.config import SearchRange
from snapq.config.reading.marked import with_values
from snapq.config.schema.quantize import PRECISIONS
from snapq.precision import ActivationType
from snapq.searching import resolution

Choices = Mapping[str, Any]
"""A value of each dimension, by its key."""
BLOCKS, RESOLUTION = "blocks", "resolution"
RATIO, IMPORTANCE = "stages.prune.ratio", "stages.prune.importance"
LAYERS = "layers "
"""What the keys of groups of layers begin with: `layers w8a16` is how many groups have that."""


@dataclass(frozen=True)
class Dimension:
    """One thing that is varied.

    Attributes:
        key: a key path of deploy.yaml, or `blocks`, `resolution`, `layers w8a16`.
        values: what it can be; empty of a range.
        low: of a range, its smallest number.
        high: of a range, its largest.
        step: of a range, the distance of neighbours.
        log: whether small numbers of a range are tried as closely as large ones.
    """

    key: str
    values: tuple[Any, ...] = ()
    low: int | float = 0
    high: int | float = 0
    step: int | float | None = None
    log: bool = False

    @classmethod
    def of(cls, key: str, mark: SearchRange | Sequence[Any]) -> Dimension:
        """The dimension of an entry of `search`."""
        if isinstance(mark, SearchRange):
            return cls(key, (), mark.low, mark.high, mark.step, mark.log)
        return cls(key, tuple(mark))

    @property
    def ordered(self) -> bool:
        """Whether the values are numbers from small to large, with None at most in front."""
        numbers = [one for one in self.values if one is not None]
        rising = all(
            isinstance(one, int | float) and not isinstance(one, bool) for one in numbers
        ) and numbers == sorted(numbers)
        return rising and None not in self.values[1:]

    @property
    def whole(self) -> bool:
        """Whether a range is of whole numbers."""
        return all(not isinstance(one, float) for one in (self.low, self.high, self.step or 1))

    @property
    def count(self) -> int | None:
        """How many values it has; None of a range without steps."""
        if self.values:
            return len(self.values)
        if self.step is None and not self.whole:
            return None
        return int((self.high - self.low) / (self.step or 1) + 1e-9) + 1

    def described(self) -> str:
        """The values for a reader."""
        if self.values:
            return ", ".join(shown(one) for one in self.values)
        step = f" in steps of {self.step}" if self.step is not None else ""
        return f"{self.low} to {self.high}{step}{' (log)' if self.log else ''}"


@dataclass(frozen=True)
class Space:
    """All that a search varies.

    Attributes:
        dimensions: in the order in which they are told.
        groups: nodes of the prepared model, those first whose quantization costs most.
        removable: residual blocks, the one that is missed least first.
        picture: how the resolution of pictures is changed; None where it is not.
        own: the precision of the quantize stage, of layers that have no other.
        notes: what is not searched, and why.
    """

    dimensions: tuple[Dimension, ...]
    groups: tuple[tuple[str, ...], ...] = ()
    removable: tuple[str, ...] = ()
    picture: resolution.Picture | None = None
    own: str = "w8a8"
    notes: tuple[str, ...] = ()

    def __getitem__(self, key: str) -> Dimension:
        return next(one for one in self.dimensions if one.key == key)

    @property
    def size(self) -> float:
        """How many points it has at most."""
        total = 1.0
        for one in self.dimensions:
            total *= one.count or float("inf")
        return total

    def effective(self, choices: Choices) -> dict[str, Any]:
        """A choice without what changes nothing: how channels are ranked where none is cut."""
        idle = RATIO in choices and choices[RATIO] is None
        return {key: one for key, one in choices.items() if not (idle and key == IMPORTANCE)}

    def configured(self, base: Mapping[str, Any], choices: Choices) -> dict[str, Any]:
        """The deploy.yaml of a choice, but for the precision of its layers (`precisions`).

        Raises:
            ConfigError: a key leads nowhere.
        """
        marked: dict[str, Any] = {}
        for key, value in self.effective(choices).items():
            if key.startswith(LAYERS):
                continue
            if key == BLOCKS:
                if value:
                    marked["stages.prune.remove"] = list(self.removable[:value])
            elif key == RESOLUTION:
                assert self.picture is not None
                marked |= self.picture.keys(value)
            else:
                marked[key] = value
        return with_values(base, marked)

    def precisions(self, choices: Choices) -> tuple[tuple[tuple[str, ...], str], ...]:
        """The groups of layers whose precision is not the stage's own, with their precision.

        Groups come in the order of sensitivity: wider precisions are given to the first, narrower
        ones to the last; where both meet, the wider one wins.
        """
        count = len(self.groups)
        chosen: list[str | None] = [None] * count
        named = [one.key.removeprefix(LAYERS) for one in self.dimensions if is_layers(one.key)]
        own = width(self.own)
        for name in sorted((name for name in named if width(name) < own), key=width, reverse=True):
            for index in range(count - choices[f"{LAYERS}{name}"], count):
                chosen[index] = name
        for name in sorted((name for name in named if width(name) > own), key=width):
            for index in range(choices[f"{LAYERS}{name}"]):
                chosen[index] = name
        return tuple(
            (self.groups[index], name) for index, name in enumerate(chosen) if name is not None
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Space:
        """The opposite of `to_json`."""
        picture = values["picture"]
        return cls(
            tuple(
                Dimension(**{**one, "values": tuple(one["values"])}) for one in values["dimensions"]
            ),
            tuple(map(tuple, values["groups"])),
            tuple(values["removable"]),
            None if picture is None else resolution.Picture(**picture),
            values["own"],
            tuple(values["notes"]),
        )


def layers_of(key: str) -> str:
    """The precision that a dimension counts groups of layers of."""
    return key.removeprefix(LAYERS)


def is_layers(key: str) -> bool:
    """Whether a dimension says how many groups of layers have some precision."""
    return key.startswith(LAYERS)


def width(name: str) -> int:
    """Bits of activations and weights, to order precisions by."""
    weights, activations = PRECISIONS[name]
    if activations is ActivationType.FLOAT16:
        return 1000
    return activations.bits * 16 + weights.bits


def overrides(
    groups: Sequence[tuple[Sequence[str], str]], nodes: frozenset[str]
) -> list[dict[str, Any]]:
    """`stages.quantize.overrides` for groups of layers, of nodes that there are."""
    found: dict[str, list[str]] = {}
    for names, precision in groups:
        found.setdefault(precision, []).extend(name for name in names if name in nodes)
    made: list[dict[str, Any]] = []
    for precision, names in found.items():
        if not names:
            continue
        weights, activations = PRECISIONS[precision]
        if activations is ActivationType.FLOAT16:
            made.append({"nodes": names, "keep": "float"})
        else:
            types = {"weights": weights.value, "activations": activations.value}
            made.append({"nodes": names, **types})
    return made


def shown(value: Any) -> str:
    """A value for a reader, as YAML has it; `-` for a key that is left out."""
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value)
