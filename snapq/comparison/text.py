"""Names and values of compared figures as text."""

from __future__ import annotations

from collections.abc import Callable

from snapq.comparison.contents import Figure, Kind
from snapq.report import formatting as fmt

_TITLES = {
    Kind.ACCURACY: "accuracy",
    Kind.ANSWERS: "equal answers",
    Kind.SQNR: "SQNR",
    Kind.SIZE: "size",
    Kind.ESTIMATE: "estimate",
    Kind.PREDICTION: "latency",
    Kind.PLACEMENT: "nodes on the NPU",
    Kind.LATENCY: "latency, p50",
    Kind.INSTRUCTIONS: "instructions",
}


def title(figure: Figure) -> str:
    """What a figure is: `SQNR logits on qcs9075 (simulated, 500 samples)`."""
    name = f" {figure.name}" if figure.name else ""
    place = f" on {figure.place}" if figure.place else ""
    word = f" ({figure.where})" if figure.where else ""
    label = f" of the {figure.label} model" if figure.label else ""
    return f"{_TITLES[figure.kind]}{name}{label}{place}{word}"


def shown(figure: Figure) -> str:
    """A figure's value with its unit."""
    if figure.kind is Kind.ACCURACY:
        return fmt.metric_value(figure.name, figure.value)
    if figure.kind is Kind.PLACEMENT and figure.of is not None:
        return f"{figure.of - round(figure.value)} of {figure.of}"
    return _VALUES[figure.kind](figure.value)


_VALUES: dict[Kind, Callable[[float], str]] = {
    Kind.ANSWERS: lambda value: f"{value * 100:.2f} %",
    Kind.SQNR: fmt.decibels,
    Kind.SIZE: lambda value: fmt.size(round(value)),
    Kind.ESTIMATE: fmt.microseconds,
    Kind.PREDICTION: fmt.microseconds,
    Kind.LATENCY: fmt.milliseconds,
    Kind.INSTRUCTIONS: lambda value: fmt.instructions(round(value)),
}
