"""A board's latency before there is a board: the median, its interval, and what it rests on."""

from __future__ import annotations

import math

from pydantic import model_validator

from snapq.records.base import Origin, Record


class PredictionRecord(Record):
    """A board's latency, predicted from estimates and public latencies; or why there is none."""

    label: str
    """What is predicted: `w8a8`, `fp16 prepared`."""
    device: str
    where: Origin = Origin.PREDICTED
    us: float | None = None
    """Median of the latency of one inference through `runtime`, in microseconds; None where there
    is no prediction."""
    batch: int = 1
    """How many samples an inference takes."""
    us_lower: float | None = None
    us_upper: float | None = None
    """Ends of the interval that holds 80 % of boards' latencies."""
    runtime: str = "onnx"
    """`onnx`: ONNX Runtime; `best`: the fastest of Qualcomm's runtimes, where latencies through
    ONNX Runtime are not public."""
    estimated_on: str | None = None
    """The device whose estimate was read; another one than `device` is a prediction by transfer."""
    estimate_us: float | None = None
    networks: int = 0
    """Networks with a public latency that the fit rests on."""
    median_error: float = 0.0
    """Of these networks, each left out of its own fit: |measured - predicted| / measured."""
    largest_error: float = 0.0
    coverage: float = 0.0
    """Share of them that lie in the interval."""
    published_us: float | None = None
    """The median without measurements of the user's own."""
    published_spread: float | None = None
    """Half of its interval, as a natural logarithm of ratios."""
    calibrated_on: int = 0
    """How many models that the user measured the figure is calibrated on."""
    board: str = ""
    """The user's board that they were measured on."""
    reason: str = ""
    """Why there is no prediction."""
    remarks: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _a_figure_or_a_reason(self) -> PredictionRecord:
        if (self.us is None) == (not self.reason):
            raise ValueError("give a figure, or the reason why there is none")
        if self.us is not None and (self.us_lower is None or self.us_upper is None):
            raise ValueError("a figure has an interval")
        return self

    @property
    def spread(self) -> tuple[float, float]:
        """Natural logarithms of median over lower end, and of upper end over median."""
        if self.us is None or self.us_lower is None or self.us_upper is None:
            return 0.0, 0.0
        return math.log(self.us / self.us_lower), math.log(self.us_upper / self.us)

    @property
    def interval_ms(self) -> tuple[float, float] | None:
        """The 80 % interval in milliseconds."""
        if self.us_lower is None or self.us_upper is None:
            return None
        return self.us_lower / 1000, self.us_upper / 1000

    @property
    def value(self) -> str:
        """`1.42 ms (1.31 to 1.6 ms)`, or `no prediction`."""
        if self.us is None or self.interval_ms is None:
            return "no prediction"
        low, high = self.interval_ms
        return f"{_number(self.us / 1000)} ms ({_number(low)} to {_number(high)} ms)"

    @property
    def basis(self) -> str:
        """`from 42 networks, median error 5 %, largest 31 %`, or why there is no prediction."""
        if self.us is None:
            return self.reason
        many = "network" if self.networks == 1 else "networks"
        text = (
            f"from {self.networks} {many}, median error {self.median_error:.0%}, largest "
            f"{self.largest_error:.0%}"
        ).replace("%", " %")
        if self.estimated_on != self.device:
            text += f", by transfer from {self.estimated_on}"
        if self.calibrated_on:
            text += f"; calibrated on {self.calibrated_on} of your measurements on {self.board}"
        return text

    @property
    def through(self) -> str:
        """The runtime, as a reader knows it."""
        return "ONNX Runtime" if self.runtime == "onnx" else "the fastest of Qualcomm's runtimes"

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        if self.us is None:
            return f"no prediction: {self.reason}"
        return f"{self.value} predicted through {self.through}, 80 % interval; {self.basis}"


def _number(value: float) -> str:
    """Three digits that count, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"
