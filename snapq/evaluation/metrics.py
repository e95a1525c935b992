"""Metrics on labelled samples: those of `snapq.metric_table`, and a function of the user's own.

A metric sees one sample after another and keeps a few numbers. Outputs are float as the float model
gives them; ties are broken for the lower class number, as numpy's argmax does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from snapq.errors import ConfigError, did_you_mean
from snapq.evaluation.fidelity import Fidelity
from snapq.evaluation.functions import load_function
from snapq.evaluation.samples import Label
from snapq.evaluation.scores import MAKERS, Metric, Outputs
from snapq.evaluation.scores.users import user_metric
from snapq.metric_table import METRICS

__all__ = ["Fidelity", "Metric", "metric", "metrics"]


class OfOutput:
    """A metric of one output, `top1 of logits`; of several labels it takes that output's."""

    def __init__(self, output: str, inner: Metric) -> None:
        self._output = output
        self._inner = inner
        self.name = f"{inner.name} of {output}"

    @property
    def samples(self) -> int:
        """Number of samples seen."""
        return self._inner.samples

    def update(
        self, outputs: Outputs, label: Label | Mapping[str, Label] | None, name: str | None = None
    ) -> None:
        """Adds one sample; one without a label for this output is left out."""
        own = label.get(self._output) if isinstance(label, Mapping) else label
        if own is not None:
            self._inner.update({self._output: outputs[self._output]}, own, name)

    def value(self) -> float:
        """The metric over all samples seen."""
        return self._inner.value()


def metrics(named: str | Mapping[str, str] | None, base: Path | None = None) -> tuple[Metric, ...]:
    """Makes the metrics that deploy.yaml names: none, one, or one for each output.

    Raises:
        ConfigError: there is no such metric.
        DataError: the user's function cannot be imported.
    """
    if named is None:
        return ()
    if isinstance(named, str):
        return (metric(named, base),)
    return tuple(OfOutput(output, metric(name, base)) for output, name in named.items())


def metric(name: str, base: Path | None = None) -> Metric:
    """Makes a metric: one of `METRICS`, or `module:function` looked for in `base` or here.

    Raises:
        ConfigError: there is no such metric.
        DataError: the user's function cannot be imported.
    """
    if ":" in name:
        return user_metric(name, load_function(name, base or Path.cwd()))
    if name not in METRICS:
        raise ConfigError(
            f"There is no metric '{name}'.",
            where="metric",
            hint=did_you_mean(
                name, METRICS, f"Use {', '.join(METRICS)}, or `module:function` of your own."
            ),
        )
    return MAKERS[name]()
