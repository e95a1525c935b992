"""The record of a search: what it varies, and every trial."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from snapq.records.base import Record

SEARCH_SCHEMA = "snapq.search/1"


class SearchDimensionRecord(Record):
    """One thing that is varied."""

    key: str
    values: str
    """As a reader sees them."""


class SearchTrialRecord(Record):
    """One trial."""

    number: int
    state: str
    """`complete`; `pruned`: not simulated, as it cannot win; `failed`."""
    sentence: str = ""
    """Why it is not complete, or what failed on the way although it is."""
    choices: dict[str, Any]
    """The value of each dimension."""
    us: float | None = None
    """Estimated microseconds on the search's device."""
    loss: float | None = None
    """Simulated: the metric's drop, or -SQNR in dB, or the share of other answers."""
    bytes: int | None = None
    """Of what is compiled for the device."""
    best: bool = False
    """Whether no other trial that keeps the limits is as good."""
    own: bool = False
    """Whether it is the deploy.yaml as it stands."""
    within: bool = False
    """Whether it keeps the limits."""
    measures: dict[str, Any] = Field(default_factory=dict)
    """Figures by name: `metric`, `value`, `float`, `sqnr_db`, `precision`."""
    layers: dict[str, int] = Field(default_factory=dict)
    """How many nodes have a precision of their own, by precision."""
    stages: tuple[dict[str, Any], ...] = ()
    """Name, key in the cache, seconds, whether it was kept, and notes, each."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Its deploy.yaml."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    host: str = ""
    cache: str = ""
    """The folder with its artifacts on that host."""


class SearchRecord(Record):
    """The content of `search.json`."""

    schema_version: str = SEARCH_SCHEMA
    name: str
    study: str
    storage: str
    """Where the trials are kept, without a password."""
    folder: str
    """Of the deploy.yaml."""
    device: str
    """Whose estimate counts."""
    loss: str
    """What the second objective is: a metric's name, `SQNR` or `equal answers`."""
    float_values: dict[str, float] = Field(default_factory=dict)
    sampler: str
    seed: int
    asked: int
    """How many trials it was asked for."""
    limits: dict[str, float | None] = Field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    """Names of the secret variables that the file has."""
    benchmark: dict[str, Any] | None = None
    dimensions: tuple[SearchDimensionRecord, ...]
    trials: tuple[SearchTrialRecord, ...]
    covered: tuple[float, ...] = ()
    """Hypervolume after each trial: the area of time and loss that the points so far cover, against
    the worst time and loss of all."""
    notes: tuple[str, ...] = ()
    random_inputs: bool = False

    @property
    def frontier(self) -> tuple[SearchTrialRecord, ...]:
        """The trials that no other beats, fastest first."""
        best = (one for one in self.trials if one.best)
        return tuple(sorted(best, key=lambda one: (one.us or 0.0, one.loss or 0.0)))
