"""How much worse the newer of two runs may be."""

from __future__ import annotations

from dataclasses import dataclass, fields

from snapq.errors import ConfigError

SHARES = (
    "max_size_growth",
    "max_estimate_growth",
    "max_prediction_growth",
    "max_instructions_growth",
)
"""Shares of the older figure: 0.05 is 5 %."""


@dataclass(frozen=True)
class Limits:
    """Limits of a comparison; what is None is shown and not judged.

    Attributes:
        max_accuracy_drop: of a metric, in its own unit; of equal answers, as a share of the rows.
        max_sqnr_drop: of an output's SQNR, in dB.
        max_size_growth: of the bundle and of each compiled model, as a share.
        max_estimate_growth: of each device's estimate, as a share.
        max_prediction_growth: of each device's predicted latency, as a share.
        max_added_cpu_nodes: nodes that ran on the NPU before, or are new, and run on the CPU.
        max_slowdown: how many times the old median a measured one may be, such as 1.05.
        max_instructions_growth: of the instructions that an emulated board counts, as a share.

    Raises:
        ConfigError: a limit is below 0, or a share of 1 or more.
    """

    max_accuracy_drop: float | None = None
    max_sqnr_drop: float | None = None
    max_size_growth: float | None = None
    max_estimate_growth: float | None = None
    max_prediction_growth: float | None = None
    max_added_cpu_nodes: int | None = None
    max_slowdown: float | None = None
    max_instructions_growth: float | None = None

    def __post_init__(self) -> None:
        for name, value in self.given.items():
            if not value >= 0:
                raise ConfigError("The limit is no number of 0 or more.", where=name)
            if name in SHARES and value >= 1:
                raise ConfigError(
                    f"{value:g} is a growth by {value:.0%}.",
                    where=name,
                    hint="A growth is a share of the older figure: 0.05 is 5 %.",
                )

    @property
    def given(self) -> dict[str, float]:
        """The limits that are given, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}
